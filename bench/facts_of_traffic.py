"""What a run on Kafka must come to: the windows and alerts of a replay of the same records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from schemas.alert import Alert, Subject, SubjectKind
from schemas.log import Log, NewRecord, Positions, Record
from schemas.settings import Settings
from schemas.times import SECOND
from schemas.topics import ALERTS
from streams.agents.app import changelog_of
from streams.agents.epochs import Epochs
from streams.agents.replay import Replay
from streams.agents.subject import SubjectState
from streams.windows.ring import Span

# Enough that a lost or doubled slice hits some; a loss of one fact in ten thousand is the drill's to find.
_EVERY = 10
_RECORDS_A_FETCH = 5_000
_WAIT_SECONDS = 1.0

Windows = dict[str, list[dict[str, float | int | None]]]
"""The rolling counts of each span, by number."""


class Facts(msgspec.Struct, frozen=True):
    """What a run came to.

    Attributes:
        windows: of every tenth number.
        alerts: rule, kind and value of the subject, and state, of all transitions; each once.
    """

    windows: Windows
    alerts: frozenset[tuple[str, str, str, str]]


def of_replay(records: Sequence[NewRecord], settings: Settings) -> Facts:
    """Replay records in memory, in their order."""
    replay = Replay(settings)
    alerts = replay.alerts(records)
    return Facts(_windows(replay.tables["numbers"], settings), _told(alerts))


async def of_log(log: Log, settings: Settings) -> Facts:
    """Read what the agents wrote."""
    changelog = changelog_of("numbers")
    epochs = Epochs()
    states: dict[bytes, bytes] = {}
    for record in await _read(log, changelog):
        if epochs.holds(record) and record.key is not None:
            if record.value is None:
                states.pop(record.key, None)
            else:
                states[record.key] = record.value
    alerts = [Alert.decode(record.value or b"") for record in await _read(log, ALERTS.name)]
    return Facts(_windows(states, settings), _told(alerts))


def difference(found: Facts, expected: Facts) -> str | None:
    """Say what is not as expected; None if all is."""
    if found.windows.keys() != expected.windows.keys():
        return f"{len(found.windows)} numbers were counted, and {len(expected.windows)} have calls"
    wrong = [number for number, windows in expected.windows.items() if found.windows[number] != windows]
    if wrong:
        return f"the windows of {len(wrong)} of {len(expected.windows)} numbers are not those of a replay: {wrong[:3]}"
    missing, extra = expected.alerts - found.alerts, found.alerts - expected.alerts
    if missing or extra:
        return f"{len(missing)} alerts are missing and {len(extra)} are too many: {sorted(missing | extra)[:3]}"
    return None


def _windows(states: Mapping[bytes, bytes], settings: Settings) -> Windows:
    found: Windows = {}
    for key in sorted(states)[::_EVERY]:
        subject = Subject(SubjectKind.NUMBER, key.decode())
        lateness = round(settings.lateness_seconds * SECOND)
        state = SubjectState.from_bytes(states[key], subject, lateness, settings.rules.volume_spike)
        found[subject.value] = [state.counts.read(span).as_public() for span in Span]
    return found


def _told(alerts: Sequence[Alert]) -> frozenset[tuple[str, str, str, str]]:
    return frozenset((alert.rule, alert.subject.kind, alert.subject.value, alert.state) for alert in alerts)


async def _read(log: Log, topic: str) -> Sequence[Record]:
    """All records of a topic that nobody writes to any more, in order of offset per partition."""
    ends = {number: end for number, end in (await log.ends(topic)).items() if end > 0}
    positions: Positions = {(topic, number): 0 for number in ends}
    found: list[Record] = []
    if not ends:
        return found
    reader = await log.reader(dict(positions))
    try:
        while batch := await reader.fetch(_RECORDS_A_FETCH, _WAIT_SECONDS):
            found.extend(batch)
    finally:
        await reader.close()
    return found
