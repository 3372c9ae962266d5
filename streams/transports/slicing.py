"""What Faust's consumers share on both logs: slices handed out, and offsets committed by what was applied.

For sliced topics, what Faust would do by acknowledgements is done by `applied`: the agent says up to where a
partition's effects are durable, and that is what gets committed. An acknowledgement only tells Faust that a slice is no
longer in work. Offsets of any other topic are committed by Faust's own acknowledgements.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage, Message
from mode.utils.futures import notify

from schemas.log import Record
from streams.transports.alignment import Alignment
from streams.transports.slices import SLICED_TOPICS, Slice, SliceLimits

# Between recovery and work nothing is active for a moment; Faust would sleep for a second.
_MOMENT_SECONDS: Final = 0.02
# How soon a partition that waits for another is looked at again.
_GLANCE_SECONDS: Final = 0.05

TimeOf = Callable[[Record], int | None]
"""The event time that a record tells, in ms since the epoch; None if it tells none."""


class SlicingConsumer(FaustConsumer):
    """A consumer that hands out slices; the base of both logs' consumers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.alignment = Alignment()
        # Set on the transport by whoever makes the app: the topic whose partitions are aligned, and how to read a time.
        aligned: tuple[str, TimeOf] | None = getattr(self.transport, "aligned", None)
        self._aligned_topic: str | None = None if aligned is None else aligned[0]
        self._time_of: TimeOf | None = None if aligned is None else aligned[1]
        self._applied: dict[TP, int] = {}
        self._held: dict[TP, list[Record]] = {}
        self._reached: dict[TP, int] = {}
        self._limits: dict[str, SliceLimits] = {}

    def applied(self, tp: TP, next_offset: int, *, records: int, seconds: float) -> None:
        """Note that all before an offset is applied and durable.

        Args:
            tp: topic and partition.
            next_offset: where to go on from.
            records: how many the slice had.
            seconds: how long the agent worked on it; later slices are made shorter if that was long.
        """
        self._applied[tp] = next_offset
        self._limits_of(tp.topic).note(records, seconds)

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

    def _starting(self, tp: TP) -> int | None:
        """The offset that a partition was taken over at."""
        return self._committed_offset.get(tp)

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
        wanted = set(active_partitions or ()) - self._held.keys()
        if not wanted:
            await asyncio.sleep(_GLANCE_SECONDS)
            return {}
        return await self._fetch(wanted, min(timeout, _GLANCE_SECONDS) if self._held else timeout)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """Fetch once: slices of ringwatch's own topics, anything else record by record."""
        if self.flow_active and not self._get_active_partitions():
            await asyncio.sleep(_MOMENT_SECONDS)
            return
        generation = self.app.consumer_generation_id
        found: tuple[Any, Any] = await self._wait_next_records(timeout)
        fetched = found[0]
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:
            self._held.clear()
            await self._go_back()
            return
        for tp, records in self._released(fetched):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                # What is left is fetched again: positions are set to what was applied when the flow goes on.
                self._held.clear()
                return
            if tp.topic not in SLICED_TOPICS:
                for record in records:
                    yield tp, self._message(tp, record, record.key, record.value)
                continue
            for part in self._limits_of(tp.topic).cut(records):
                if not self.flow_active:
                    return
                yield tp, self._message(tp, part[-1], None, Slice(part))

    async def _go_back(self) -> None:
        """Set positions to what was applied; the flow was stopped while records were fetched."""
        try:
            await self.perform_seek()
        except Exception as error:  # noqa: BLE001 - the rebalance that stopped the flow sets them again
            self.log.info("positions can't be set now: %s", error)

    def _released(self, fetched: Mapping[TP, Sequence[Record]]) -> Iterator[tuple[TP, Sequence[Record]]]:
        for tp, records in fetched.items():
            if tp.topic == self._aligned_topic:
                self._held.setdefault(tp, []).extend(records)
            else:
                yield tp, records
        if self._held:
            yield from self._aligned()

    def _aligned(self) -> Iterator[tuple[TP, Sequence[Record]]]:
        """Give what may go now of the partitions that are held in event time."""
        held = len(self._held)
        moved = True
        # One that has run empty must be looked for in the log first: it may be the one that is furthest behind.
        while moved and len(self._held) == held:
            moved = False
            now = time.monotonic()
            self._tell_places(now)
            limit = self.alignment.limit(now)
            for tp in list(self._held):
                records = self._held.pop(tp)
                ready = len(records) if limit is None else self._count_up_to(records, limit)
                if ready < len(records):
                    self._held[tp] = records[ready:]
                if ready:
                    moved = True
                    self._note_reached(tp, records[:ready])
                    yield tp, records[:ready]

    def _tell_places(self, now: float) -> None:
        aligned = {tp for tp in self._get_active_partitions() if tp.topic == self._aligned_topic}
        for tp in aligned | self._held.keys():
            held = self._held.get(tp)
            if held is not None:
                self.alignment.stands(tp.partition, self._first_time(held), now)
            else:
                behind = self._is_behind(tp)
                self.alignment.stands(tp.partition, self._reached.get(tp, 0) if behind else None, now)

    def _is_behind(self, tp: TP) -> bool:
        position, end = self._position_of(tp), self._end(tp)
        return position is None or end is None or position < end

    def _first_time(self, records: Sequence[Record]) -> int | None:
        assert self._time_of is not None
        return next((at for at in map(self._time_of, records) if at is not None), None)

    def _note_reached(self, tp: TP, records: Sequence[Record]) -> None:
        at = self._first_time(list(reversed(records)))
        if at is not None:
            self._reached[tp] = at

    def _count_up_to(self, records: Sequence[Record], limit: int) -> int:
        assert self._time_of is not None
        for place, record in enumerate(records):
            at = self._time_of(record)
            if at is not None and at > limit:
                return place
        return len(records)

    def _limits_of(self, topic: str) -> SliceLimits:
        found = self._limits.get(topic)
        if found is None:
            found = self._limits[topic] = SliceLimits()
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
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Note offsets that don't exist; those inside a slice are no gap."""
        if tp.topic not in SLICED_TOPICS:
            await super()._add_gap(tp, offset_from, offset_to)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        for tp in self._applied:
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic in SLICED_TOPICS:
            return self._applied.get(tp)
        offset: int | None = super()._new_offset(tp)
        return offset

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let slices in work be finished and committed, then let go of the partitions."""
        await super().on_partitions_revoked(revoked)
        self._held.clear()
        for tp in revoked:
            self._applied.pop(tp, None)
            self._reached.pop(tp, None)
            if tp.topic == self._aligned_topic:
                self.alignment.forget(tp.partition)
