"""The whole of assembly, windows and detectors in memory, without a log: as fast as it can, the same every time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from heapq import merge

import msgspec

from schemas.alert import Alert
from schemas.log import NewRecord, Record
from schemas.opt_out import OptOut
from schemas.settings import Settings
from schemas.topics import ALERTS, CALLBACKS, OPTOUTS
from schemas.wire import UnreadableRecordError
from streams.agents.app import STAGES
from streams.agents.arrival import arrival_of
from streams.agents.stage import Stage, process_all

# Large enough that a stage packs a key's state once for many records, which takes a quarter of the time away against
# slices of 1,000, and small enough to stay within some 30 MB; the output does not depend on it.
_RECORDS_A_SLICE = 10_000


class Replay:
    """Drive the stages over records, one partition a topic.

    Args:
        settings: rules, lateness, assembly.

    Attributes:
        emitted: records emitted so far, by topic.
        tables: the states by stage, key to bytes.
    """

    def __init__(self, settings: Settings) -> None:
        self.emitted: Counter[str] = Counter()
        self.tables: dict[str, MutableMapping[bytes, bytes]] = {name: {} for name, _ in STAGES}
        # One stage for all keys, so that it may keep as many decoded states as one that has all partitions.
        whole = settings.model_copy(update={"partitions": 1})
        self._stages: list[Stage] = [factory(whole, self.tables[name]) for name, factory in STAGES]
        self._offsets: Counter[str] = Counter()

    def run(self, records: Iterable[NewRecord]) -> Iterator[NewRecord]:
        """Apply records of any topics in order; give what the stages emit, stage by stage."""
        pending: list[NewRecord] = []
        for record in records:
            pending.append(record)
            if len(pending) >= _RECORDS_A_SLICE:
                yield from self._apply(pending)
                pending = []
        if pending:
            yield from self._apply(pending)

    def alerts(self, records: Iterable[NewRecord]) -> list[Alert]:
        """Apply records and give all transitions, by time; equal times in order of alert and sequence."""
        emitted = (record for record in self.run(records) if record.topic == ALERTS.name)
        found = [Alert.decode(record.value or b"") for record in emitted]
        return sorted(found, key=lambda alert: (alert.at, alert.alert_id, alert.sequence))

    def _apply(self, records: Sequence[NewRecord]) -> Iterator[NewRecord]:
        waiting: dict[str, list[list[NewRecord]]] = {}
        self._wait([_dated(record) for record in records], waiting)
        for stage in self._stages:
            for source in stage.sources:
                effects = process_all(stage, self._lay(source.name, waiting.pop(source.name, [])))
                self._wait(effects.emissions, waiting)
                yield from effects.emissions

    def _wait(self, records: Sequence[NewRecord], waiting: dict[str, list[list[NewRecord]]]) -> None:
        by_topic: dict[str, list[NewRecord]] = {}
        for record in records:
            by_topic.setdefault(record.topic, []).append(record)
        for topic, found in by_topic.items():
            self.emitted[topic] += len(found)
            waiting.setdefault(topic, []).append(found)

    def _lay(self, topic: str, producers: Sequence[Sequence[NewRecord]]) -> list[Record]:
        """Lay what waits for a topic into it: two stages write to one in the order in which their causes came."""
        first = self._offsets[topic]
        merged = producers[0] if len(producers) == 1 else merge(*producers, key=lambda record: record.timestamp or 0)
        laid = [
            Record(record.topic, 0, offset, record.timestamp or 0, record.key, record.value)
            for offset, record in enumerate(merged, first)
        ]
        self._offsets[topic] += len(laid)
        return laid


def _dated(record: NewRecord) -> NewRecord:
    """Give a record the time of its arrival, as a log would have; what comes of it is merged by that."""
    if record.timestamp is not None or record.topic not in {CALLBACKS.name, OPTOUTS.name}:
        return record
    if record.topic == CALLBACKS.name:
        # No log has taken it in yet that could say when.
        at = arrival_of(Record(record.topic, 0, 0, sys.maxsize, record.key, record.value))
    else:
        try:
            at = OptOut.decode(record.value or b"").at
        except UnreadableRecordError:
            at = None
    return msgspec.structs.replace(record, timestamp=at)
