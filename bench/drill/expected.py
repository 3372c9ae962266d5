"""What an undisturbed run makes of the same callbacks in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from schemas.alert import Alert, Subject, SubjectKind
from schemas.call import CallFact
from schemas.log import NewRecord, Record
from schemas.settings import Settings
from schemas.times import SECOND
from schemas.topics import ALERTS, CALLS, SUPPRESSIONS
from streams.agents.campaigns import CampaignState, name_of_campaign
from streams.agents.replay import Replay
from streams.agents.subject import SubjectState

COUNTING: Final = {"numbers": SubjectKind.NUMBER, "accounts": SubjectKind.ACCOUNT, "campaigns": SubjectKind.CAMPAIGN}
"""The stages that keep windows, and what they count."""


class Outcome(msgspec.Struct):
    """What became of callbacks.

    Attributes:
        calls: the last fact of each call.
        alerts: the last transition of each alert.
        suppressions: the last verdict by its key; lifted ones are gone.
        transitions: all of all alerts, as they were told.
    """

    calls: dict[str, CallFact] = {}
    alerts: dict[str, Alert] = {}
    suppressions: dict[bytes, bytes] = {}
    transitions: list[Alert] = []

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take a record of one of the topics in; others are passed over."""
        if topic == CALLS.name:
            fact = CallFact.decode(value or b"")
            known = self.calls.get(fact.call_sid)
            if known is None or known.revision <= fact.revision:
                self.calls[fact.call_sid] = fact
        elif topic == ALERTS.name:
            alert = Alert.decode(value or b"")
            self.transitions.append(alert)
            held = self.alerts.get(alert.alert_id)
            # A transition that is told again, by a worker that repeats its work, is the same one.
            if held is None or held.sequence < alert.sequence:
                self.alerts[alert.alert_id] = alert
        elif topic == SUPPRESSIONS.name:
            if value is None:
                self.suppressions.pop(key or b"", None)
            else:
                self.suppressions[key or b""] = value

    def write(self, path: Path) -> None:
        """Write the transitions as JSON, one a line, for whoever wants to know why."""
        path.write_bytes(b"".join(msgspec.json.encode(alert.as_public()) + b"\n" for alert in self.transitions))


class Undisturbed:
    """A replay that goes on with every stretch.

    Args:
        settings: of the processes that are drilled.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._replay = Replay(settings)
        self.outcome = Outcome({}, {}, {}, [])

    def take(self, records: Iterable[Record]) -> None:
        """Apply callbacks and opt-outs in order of arrival."""
        arrived = (NewRecord(record.topic, record.key, record.value, timestamp=record.timestamp) for record in records)
        for emitted in self._replay.run(arrived):
            self.outcome.take(emitted.topic, emitted.key, emitted.value)

    def windows(self) -> dict[str, bytes]:
        """The packed counts by subject."""
        found: dict[str, bytes] = {}
        for stage in COUNTING:
            found |= windows_of(stage, self._replay.tables[stage], self._settings)
        return found


def windows_of(stage: str, states: Mapping[bytes, bytes], settings: Settings) -> dict[str, bytes]:
    """The packed counts of a stage's subjects, by kind and value."""
    lateness = round(settings.lateness_seconds * SECOND)
    kind = COUNTING[stage]
    found = {}
    for key, packed in states.items():
        state: SubjectState | CampaignState
        if kind is SubjectKind.CAMPAIGN:
            name = name_of_campaign(key)
            if name is None:
                continue
            state = CampaignState.from_bytes(packed, name, lateness, settings.rules)
        else:
            name = key.decode()
            state = SubjectState.from_bytes(packed, Subject(kind, name), lateness, settings.rules.volume_spike)
        found[f"{kind.value} {name}"] = state.counts.ring.to_bytes()
    return found
