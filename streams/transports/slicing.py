"""What Faust's consumers share on both logs: slices handed out, and offsets committed by what was applied.

For sliced topics, what Faust would do by acknowledgements is done by `applied`: the agent says up to where a
partition's effects are durable, and that is what gets committed. An acknowledgement only tells Faust that a slice is no
longer in work. Offsets of any other topic are committed by Faust's own acknowledgements.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

import msgspec
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage, Message
from mode.utils.futures import notify

from schemas.log import Record
from streams.transports.alignment import RECORDS_A_TURN, Alignment
from streams.transports.slices import RECORDS_A_SLICE, SLICED_TOPICS, Slice, SliceLimits

# Between recovery and work nothing is active for a moment; Faust would sleep for a second.
_MOMENT_SECONDS: Final = 0.02
# How soon a partition that waits for another is looked at again: a worker's word takes about as long.
_GLANCE_SECONDS: Final = 0.01
# One that an agent works on, one that waits, and one on its way.
_SLICES_IN_WORK: Final = 3

TimeOf = Callable[[Record], int | None]
"""The time that a record's place in the order goes by, in ms since the epoch; None if it tells none."""


class _ReadOffsets(defaultdict[TP, int | None]):
    """What Faust has read of each partition, by which it drops what comes again; of sliced topics nothing is dropped.

    After a rebalance positions are set back while records are fetched already. A slice that comes again in part would
    be dropped whole, with the new records in it. Agents pass over what they have applied.
    """

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def __getitem__(self, tp: TP) -> int | None:
        return None if tp.topic in SLICED_TOPICS else super().__getitem__(tp)


class SlicingConsumer(FaustConsumer):
    """A consumer that hands out slices; the base of both logs' consumers.

    Attributes:
        records_a_slice: the longest slice.
    """

    records_a_slice = RECORDS_A_SLICE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _ReadOffsets()
        self.alignment = Alignment()
        # Set on the transport by whoever makes the app: the topic whose partitions are handed out in one order, and the
        # time that the order goes by.
        aligned: tuple[str, TimeOf] | None = getattr(self.transport, "aligned", None)
        self._aligned_topic: str | None = None if aligned is None else aligned[0]
        self._time_of: TimeOf | None = None if aligned is None else aligned[1]
        self._applied: dict[TP, int] = {}
        self._held: dict[TP, list[Record]] = {}
        self._reached: dict[TP, int] = {}
        self._taken_over_at: dict[TP, int] = {}
        self._limits: dict[str, SliceLimits] = {}
        self._in_work: Counter[str] = Counter()
        self._turn = 0

    def applied(self, tp: TP, next_offset: int) -> None:
        """Note that all of a partition before an offset is applied and durable."""
        self._applied[tp] = next_offset

    def worked(self, topic: str, records: int, seconds: float) -> None:
        """Note how long an agent worked on a slice of so many records; later ones are made shorter if that was long."""
        self._limits_of(topic).note(records, seconds)

    def owned(self) -> set[tuple[str, int]]:
        """The partitions of sliced topics that are this worker's now, as topic and number."""
        return {(tp.topic, tp.partition) for tp in self.assignment() if tp.topic in SLICED_TOPICS}

    def lags(self) -> dict[tuple[str, int], int]:
        """Records in the log, not yet applied, by topic and partition; only of those that are known by now."""
        found = {}
        for topic, partition in self.owned():
            tp = TP(topic, partition)
            start, end = self._applied.get(tp, self._starting(tp)), self._end(tp)
            if start is not None and end is not None:
                found[topic, partition] = max(0, end - start)
        return found

    def places(self) -> dict[int, tuple[int | None, int]]:
        """Where the partitions of the aligned topic stand that are this worker's: time and offset, by partition.

        The time is that of the next record in ms since the epoch, None if nothing is waiting; the offset is the next
        to be handed out.
        """
        found: dict[int, tuple[int | None, int]] = {}
        for topic, partition in self.owned():
            if topic == self._aligned_topic:
                tp = TP(topic, partition)
                held = self._held.get(tp)
                if held:
                    found[partition] = (held[0].timestamp, held[0].offset)
                else:
                    found[partition] = (self._reached.get(tp) if self._is_behind(tp) else None, self._next_of(tp))
        return found

    def _next_of(self, tp: TP) -> int:
        return self._position_of(tp) or 0

    def reached(self) -> int | None:
        """The latest time of a record that was handed out of the aligned topic; None before the first."""
        return max(self._reached.values(), default=None)

    def _starting(self, tp: TP) -> int | None:
        """The offset that a partition was taken over at."""
        committed = self._committed_offset.get(tp)
        # Where nothing was ever committed, the first position seen is the beginning.
        if committed is not None:
            return committed
        if tp not in self._taken_over_at:
            position = self._position_of(tp)
            if position is not None:
                self._taken_over_at[tp] = position
        return self._taken_over_at.get(tp)

    def _end(self, tp: TP) -> int | None:
        """The next offset to be written, as far as it is known."""
        return self.highwater(tp)

    async def _fetch(self, wanted: set[TP], timeout: float) -> Mapping[TP, Sequence[Record]]:  # noqa: ASYNC109 - Faust's way
        """Fetch what there is, waiting up to `timeout` seconds for the first."""
        raise NotImplementedError

    def _position_of(self, tp: TP) -> int | None:
        """The next offset to be fetched, as far as it is known."""
        raise NotImplementedError

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        busy = {topic for topic, slices in self._in_work.items() if slices >= _SLICES_IN_WORK}
        settled = self._is_settled()
        wanted = {
            tp
            for tp in active_partitions or ()
            if tp not in self._held and tp.topic not in busy and (settled or tp.topic not in SLICED_TOPICS)
        }
        if not wanted:
            await asyncio.sleep(_GLANCE_SECONDS)
            return {}
        return await self._fetch(wanted, _GLANCE_SECONDS if self._held or busy else timeout)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """Fetch once: slices of ringwatch's own topics, anything else record by record."""
        if self.flow_active and not self._get_active_partitions():
            await asyncio.sleep(_MOMENT_SECONDS)
            return
        generation = self.app.consumer_generation_id
        fetched, _ = await self._wait_next_records(timeout)
        if self.should_stop:
            return
        if not self.flow_active:
            await self._go_back()
            return
        assert fetched is not None
        sliced = {tp: records for tp, records in fetched.items() if tp.topic in SLICED_TOPICS}
        for tp, record in _single(fetched):
            yield tp, self._message(tp, record, record.key, record.value)
        if not self._goes_on(generation):
            # What was fetched before a rebalance may lie past what was applied by then: handed out, it would have
            # agents pass over what comes before it.
            if sliced or self._held:
                await self._go_back()
            return
        self._hold(sliced)
        for tp, runs in self._slices():
            last = runs[-1][-1]
            yield tp, self._message(tp, last, None, Slice(runs))
            if not self._goes_on(generation):
                # What is left is fetched again: positions are set to what was applied when the flow goes on.
                self._let_go()
                return

    def _hold(self, fetched: Mapping[TP, Sequence[Record]]) -> None:
        for tp, records in fetched.items():
            held = self._held.setdefault(tp, [])
            held.extend(self._timed(records) if tp.topic == self._aligned_topic else records)

    def _goes_on(self, generation: int) -> bool:
        return self.flow_active and self._is_settled() and self.app.consumer_generation_id == generation

    def _is_settled(self) -> bool:
        """Whether the partitions are this worker's for good, and positions are set to what was applied.

        Faust lets the flow go on before it has set the positions, and throws away what agents have in their queues
        after it has: what is handed out in between would be lost.
        """
        # Faust's interfaces do not tell of it; an app without tables has nothing to recover.
        tables: Any = self.app.tables
        return not self.app.rebalancing and (not tables or bool(tables.recovery.completed.is_set()))

    def _slices(self) -> Iterator[tuple[TP, Sequence[Sequence[Record]]]]:
        """Make slices of what is held, as many as may be in work; with each the partition of its last run."""
        for topic in {tp.topic: None for tp in self._held}:
            while self._in_work[topic] < _SLICES_IN_WORK:
                runs = self._next_runs(topic)
                if not runs:
                    break
                self._in_work[topic] += 1
                yield TP(topic, runs[-1][-1].partition), runs

    def _timed(self, records: Sequence[Record]) -> Iterator[Record]:
        """Give the records with the time that their order goes by, which what they cause will carry too."""
        assert self._time_of is not None
        for record in records:
            at = self._time_of(record)
            yield record if at is None else msgspec.structs.replace(record, timestamp=at)

    async def _go_back(self) -> None:
        """Set positions to what was applied; the partitions were given out anew while records were fetched."""
        self._let_go()
        while not self.should_stop:
            try:
                await self.perform_seek()
            except Exception as error:  # noqa: BLE001 - whatever it is, what was let go of must be read again
                self.log.info("positions can't be set now: %s", error)
                if not self._is_settled():
                    # The rebalance sets them again.
                    return
                await asyncio.sleep(_MOMENT_SECONDS)
            else:
                return

    def _let_go(self) -> None:
        self._held.clear()
        self._in_work.clear()

    def _next_runs(self, topic: str) -> Sequence[Sequence[Record]]:
        """Take the runs of the next slice of a topic; none if nothing may be handed out now."""
        lanes = {tp: records for tp, records in self._held.items() if tp.topic == topic}
        if not lanes:
            return []
        if topic == self._aligned_topic:
            return self._next_in_order(lanes)
        return self._take(lanes, dict(self._count_in_turn(lanes, self._limits_of(topic))))

    def _count_in_turn(self, lanes: Mapping[TP, Sequence[Record]], limits: SliceLimits) -> list[tuple[TP, int]]:
        together = limits.count(record for records in lanes.values() for record in records)
        counts = []
        for tp, records in lanes.items():
            counts.append((tp, min(together, len(records))))
            together -= counts[-1][1]
        return counts

    def _next_in_order(self, lanes: Mapping[TP, Sequence[Record]]) -> Sequence[Sequence[Record]]:
        """Take the runs of the next slice in the order in which records were appended over all partitions.

        No further than where each partition that has more in the log has been fetched to, nor than other workers'
        partitions allow.
        """
        now = time.monotonic()
        self._note_places(lanes, now)
        topic = next(iter(lanes)).topic
        limits = self._limits_of(topic)
        counts = self._count_in_order(lanes, self.alignment.limit(now), limits)
        if not counts and self._turn < self.alignment.turns:
            self._turn = self.alignment.turns
            counts = self._count_in_order(
                lanes, self.alignment.limit(now, others=False), SliceLimits(min(limits.records, RECORDS_A_TURN))
            )
        for tp, count in counts.items():
            self._reached[tp] = lanes[tp][count - 1].timestamp
        return self._take(lanes, counts)

    def _count_in_order(
        self, lanes: Mapping[TP, Sequence[Record]], limit: int | None, limits: SliceLimits
    ) -> Mapping[TP, int]:
        """How many records of each partition come first in time, up to a limit in time and those of a slice."""
        ready = {tp: self._count_up_to(records, limit) for tp, records in lanes.items()}
        ready = {tp: count for tp, count in ready.items() if count}
        if len(ready) < 2:  # noqa: PLR2004 - one partition is in order by itself
            return {tp: limits.count(islice(lanes[tp], count)) for tp, count in ready.items()}

        in_order = merge(*(islice(lanes[tp], count) for tp, count in ready.items()), key=_timestamp)
        by_partition = Counter(record.partition for record in limits.fitting(in_order))
        return {tp: by_partition[tp.partition] for tp in ready if by_partition[tp.partition]}

    def _note_places(self, lanes: Mapping[TP, Sequence[Record]], now: float) -> None:
        active = self._get_active_partitions() & self.assignment()
        aligned = {tp for tp in active if tp.topic == self._aligned_topic}
        for tp in aligned | lanes.keys():
            at: int | None = None
            if self._is_behind(tp):
                # All that was fetched may go, whichever of it came first; of a partition not fetched yet, nothing is
                # known. Gateways append side by side, so the last record need not be the latest.
                at = max(map(_timestamp, lanes[tp])) if tp in lanes else self._reached.get(tp, 0)
            self.alignment.stands(tp.partition, at, now, own=True)

    def _is_behind(self, tp: TP) -> bool:
        position, end = self._position_of(tp), self._end(tp)
        return position is None or end is None or position < end

    @staticmethod
    def _count_up_to(records: Sequence[Record], limit: int | None) -> int:
        if limit is None:
            return len(records)
        return next((place for place, record in enumerate(records) if record.timestamp > limit), len(records))

    def _take(self, lanes: Mapping[TP, Sequence[Record]], counts: Mapping[TP, int]) -> Sequence[Sequence[Record]]:
        runs = []
        for tp, count in counts.items():
            if not count:
                continue
            records = lanes[tp]
            runs.append(records[:count])
            if count == len(records):
                del self._held[tp]
            else:
                self._held[tp] = list(records[count:])
        return runs

    def _limits_of(self, topic: str) -> SliceLimits:
        found = self._limits.get(topic)
        if found is None:
            found = self._limits[topic] = SliceLimits(self.records_a_slice)
        return found

    def _message(self, tp: TP, last: Record, key: bytes | None, value: Any) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1_000,
            0,
            [],
            key,
            value,
            None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def _to_message(self, tp: TP, record: Record) -> ConsumerMessage:
        return self._message(tp, record, record.key, record.value)

    def ack(self, message: Message) -> bool:
        """Note that a message is no longer in work; of slices, what is committed is what was `applied`."""
        if message.topic not in SLICED_TOPICS:
            return bool(super().ack(message))
        if message.acked:
            return False
        message.acked = True
        if self._in_work[message.topic] > 0:
            self._in_work[message.topic] -= 1
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Note offsets that don't exist; those inside a slice are no gap."""
        if tp.topic not in SLICED_TOPICS:
            await super()._add_gap(tp, offset_from, offset_to)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        applied = [tp for tp in self._applied if topics is None or tp in topics or tp.topic in topics]
        return [*super()._filter_tps_with_pending_acks(topics), *applied]

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic in SLICED_TOPICS:
            return self._applied.get(tp)
        offset: int | None = super()._new_offset(tp)
        return offset

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let slices in work be finished and committed, then let go of the partitions."""
        await super().on_partitions_revoked(revoked)
        self._let_go()
        for tp in revoked:
            self._applied.pop(tp, None)
            self._reached.pop(tp, None)
            self._taken_over_at.pop(tp, None)
            if tp.topic == self._aligned_topic:
                self.alignment.forget(tp.partition)


def _single(fetched: Mapping[TP, Sequence[Record]]) -> Iterator[tuple[TP, Record]]:
    """The records of topics that are not sliced."""
    return ((tp, record) for tp, records in fetched.items() if tp.topic not in SLICED_TOPICS for record in records)


def _timestamp(record: Record) -> int:
    return record.timestamp
