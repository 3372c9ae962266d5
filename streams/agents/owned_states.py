"""The states of the partitions that a worker owns, kept in a compacted changelog and safe from workers taken for dead.

A worker that was stopped for longer than its session lasts does not know that another one took its partitions over. It
wakes up in the middle of a slice and writes a state that the new owner has long left behind. As a changelog's last
record of a key is the state, that would undo what the new owner did. So ownership is written into the changelog itself:

- Whoever takes a partition over appends a claim to its changelog and reads up to it. The claim's offset is its epoch,
  and every state it writes carries that epoch.
- A state that carries another epoch than the last claim before it is stale and is never read.
- An owner sees by the offsets of its own writes whether somebody wrote in between: stale states it writes over again,
  and a later claim tells it that it is no longer the owner.

A changelog that was deleted and made anew would have its next owner count from nothing. So the first owner ever says
that it was here, in a record that compaction keeps; where that record is not found, whoever has been given to tell
about it is asked before anything is kept, and what is there is not believed.

The changelog's compaction lags behind by far more than a worker may be stopped and go on, so that what a stale state
covers is still there when it is looked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from schemas.log import Log, NewRecord, Positions, Record
from streams.agents.epochs import CLAIM_KEY, FOUNDING_KEY, epoch_of, header_of, is_stale
from streams.agents.stage import StateChange

# As many as a broker gives in one answer; a state is some kilobytes.
_RECORDS_A_FETCH: Final = 5_000
# How long a fetch may wait for what is known to be there.
_WAIT_SECONDS: Final = 1.0

_logger = logging.getLogger(__name__)

Publish = Callable[[Sequence[NewRecord]], Awaitable[Sequence[tuple[int, int]]]]
"""Appends records in order; gives partition and offset of each once all are durable, or raises LogUnavailableError."""


OnEmpty = Callable[[Collection[int]], Awaitable[None]]
"""Is told of partitions whose changelog is empty; sees to it that all of their sources comes again, or raises."""


class ChangelogLostError(Exception):
    """The changelog is not the one that states were kept in; the text says what to do."""


class LostClaimError(Exception):
    """Another worker has taken the partition over; what this one holds of it must not be used or written any more."""


class _Partition:
    """The states of one partition.

    Attributes:
        data: key to bytes.
        epoch: offset of the claim that the states were last written under, as far as they have been read.
        end: the offset up to which the changelog is known.
        founded: whether there is the record that there has been an owner, or a state of the time before there was one.
        overruled: keys whose last record in the changelog is stale.
    """

    __slots__ = ("data", "end", "epoch", "founded", "overruled")

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}
        self.epoch = -1
        self.end = 0
        self.founded = False
        self.overruled: dict[bytes, None] = {}

    def read(self, record: Record) -> None:
        """Take a record of the changelog in, in order of offset."""
        self.end = record.offset + 1
        key = record.key or b""
        if key == CLAIM_KEY:
            self.epoch = record.offset
            return
        if key == FOUNDING_KEY:
            self.founded = True
            return
        epoch = epoch_of(record)
        if is_stale(record, epoch, self.epoch):
            self.overruled[key] = None
            return
        # States of a version that wrote no claims; all others come after the founding.
        self.founded = self.founded or epoch < 0
        # The claim itself is gone from the changelog once a later one was compacted over it.
        self.epoch = epoch
        self.overruled.pop(key, None)
        if record.value is None:
            self.data.pop(key, None)
        else:
            self.data[key] = record.value


class OwnedStates:
    """The states of a stage, by the partitions that this worker owns.

    Args:
        changelog: the topic they are kept in.
        log: reads the changelog.
        publish: writes to it; what it wrote is durable.
        on_empty: is told of partitions that nothing was ever kept of, before anything is; without it nobody is.
    """

    def __init__(self, changelog: str, log: Log, publish: Publish, on_empty: OnEmpty | None = None) -> None:
        self._changelog = changelog
        self._on_empty = on_empty
        self._log = log
        self._publish = publish
        self._partitions: dict[int, _Partition] = {}
        self._taking = asyncio.Lock()

    def of(self, partition: int) -> dict[bytes, bytes]:
        """The states of a partition, key to bytes; whoever changes them passes the changes to `keep`.

        Raises:
            LostClaimError: the partition is not owned.
        """
        return self._held(partition).data

    async def own(self, partitions: Collection[int]) -> set[int]:
        """Own these partitions and no others; give those whose states were read, and are not the ones held before.

        Raises:
            LogUnavailableError: the changelog can't be read or written now; call again.
            ChangelogLostError: it is empty, and what it held can't be made again.
        """
        # A rebalance may begin before the states of the last one are read.
        async with self._taking:
            return await self._own(partitions)

    async def _own(self, partitions: Collection[int]) -> set[int]:
        ends = await self._log.ends(self._changelog)
        kept = {
            number: held
            for number, held in self._partitions.items()
            if number in partitions and held.end == ends[number]
        }
        taken = [number for number in sorted(partitions) if number not in kept]
        self._partitions = dict(kept)
        if not taken:
            return set()
        claims = await self._publish(
            [NewRecord(self._changelog, CLAIM_KEY, b"claim", partition=number) for number in taken]
        )
        fresh = {number: _Partition() for number in taken}
        await self._read({(self._changelog, number): 0 for number in taken}, dict(claims), fresh)
        if self._on_empty is not None:
            await self._found({number: held for number, held in fresh.items() if not held.founded}, self._on_empty)
        self._partitions.update(fresh)
        await self._write_over(taken)
        return set(taken)

    async def _found(self, empty: Mapping[int, _Partition], on_empty: OnEmpty) -> None:
        if not empty:
            return
        await on_empty(empty.keys())
        for held in empty.values():
            # Left by who still had the changelog that was there before.
            held.overruled.update(dict.fromkeys(held.data))
            held.data.clear()
        # Only now, so that who dies in between leaves it to the next owner to ask again.
        places = await self._publish(
            [NewRecord(self._changelog, FOUNDING_KEY, b"founded", partition=number) for number in empty]
        )
        for number, offset in places:
            # Whoever wrote in between is looked at with the first write.
            if offset == empty[number].end:
                empty[number].end = offset + 1

    async def keep(self, changes: Mapping[int, Sequence[StateChange]]) -> None:
        """Write changed states, by partition; return once they are durable.

        Raises:
            LostClaimError: another worker owns a partition now; the process must not go on with what it holds.
            ChangelogLostError: the changelog was made anew; the process must not go on.
            LogUnavailableError: not all are known to be written; call again with the same changes.
        """
        await self._write(
            {number: [(change.key, change.value) for change in changed] for number, changed in changes.items()}
        )
        await self._write_over(changes)

    async def _write_over(self, partitions: Iterable[int]) -> None:
        """Put the true states over stale ones."""
        overruled = {number: self._held(number) for number in partitions if self._held(number).overruled}
        while overruled:
            states, keys = {}, {}
            for number, held in overruled.items():
                _logger.warning(
                    "%s[%d]: %d states of a worker taken for dead are written over",
                    self._changelog,
                    number,
                    len(held.overruled),
                )
                states[number] = [(key, held.data.get(key)) for key in held.overruled]
                keys[number], held.overruled = held.overruled, {}
            try:
                await self._write(states)
            except BaseException:
                for number, held in overruled.items():
                    held.overruled = keys[number] | held.overruled
                raise
            overruled = {number: held for number, held in overruled.items() if held.overruled}

    async def _write(self, states: Mapping[int, Sequence[tuple[bytes, bytes | None]]]) -> None:
        records: list[NewRecord] = []
        for number, pairs in states.items():
            headers = header_of(self._held(number).epoch)
            records.extend(
                NewRecord(self._changelog, key, value, partition=number, headers=headers) for key, value in pairs
            )
        places = iter(await self._publish(records))
        for number, pairs in states.items():
            held = self._held(number)
            offsets = [next(places)[1] for _ in pairs]
            if offsets and offsets[0] < held.end:
                raise ChangelogLostError(
                    f"{self._changelog}[{number}] was made anew while its states were in use; start this worker again, "
                    "which rebuilds them from what they were made of"
                )
            if offsets and (offsets[0] != held.end or offsets[-1] != held.end + len(offsets) - 1):
                await self._look_between(number, held, offsets[-1])
            elif offsets:
                held.end = offsets[-1] + 1

    def _held(self, partition: int) -> _Partition:
        found = self._partitions.get(partition)
        if found is None:
            raise LostClaimError(f"{self._changelog}[{partition}] is not owned by this worker")
        return found

    async def _look_between(self, partition: int, held: _Partition, last: int) -> None:
        """Read what was written beside this worker's own states, up to the last of them."""
        between = _Between(held.epoch)
        await self._read({(self._changelog, partition): held.end}, {partition: last}, {partition: between})
        if between.claimed:
            raise LostClaimError(
                f"another worker has taken over {self._changelog}[{partition}]; this one was taken for dead"
            )
        held.end = last + 1
        held.overruled.update(between.stale)

    async def _read(
        self, positions: Positions, lasts: dict[int, int], into: dict[int, _Partition] | dict[int, _Between]
    ) -> None:
        """Read on from positions until the given last record of each partition was read."""
        missing = set(lasts)
        reader = await self._log.reader(positions)
        try:
            while missing:
                for record in await reader.fetch(_RECORDS_A_FETCH, _WAIT_SECONDS):
                    if record.partition in missing:
                        into[record.partition].read(record)
                        if record.offset >= lasts[record.partition]:
                            missing.discard(record.partition)
        finally:
            await reader.close()


class _Between:
    """What others wrote between an owner's own states."""

    __slots__ = ("_epoch", "claimed", "stale")

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self.claimed = False
        self.stale: dict[bytes, None] = {}

    def read(self, record: Record) -> None:
        """Look at a record of the changelog, in order of offset."""
        key = record.key or b""
        if key == CLAIM_KEY:
            self.claimed = True
        elif key == FOUNDING_KEY:
            return
        elif epoch_of(record) != self._epoch:
            self.stale[key] = None
        else:
            self.stale.pop(key, None)
