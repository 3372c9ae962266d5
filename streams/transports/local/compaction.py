"""Keeps the last record of each key, as Apache Kafka's log cleaner does; offsets never change.

A pass reads what was appended since the last one, notes each key's last offset, and rewrites the blocks that hold
records a later one supersedes. The last record of a partition always stays, so that a position before the end has one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping

from schemas.log import Record
from schemas.times import DAY, MINUTE
from streams.transports.local.blocks import BlockRow, pack, unpack
from streams.transports.local.partitions import PartitionState
from streams.transports.local.storage import Storage

# Readers that are at the end or a few seconds behind see every state a key went through.
MINIMUM_LAG = MINUTE
# Who rebuilds its state from the start must meet a tombstone before it goes, or a deleted key comes back to life; a
# reader that was stopped for a night still does. It is Apache Kafka's default too.
TOMBSTONE_GRACE = DAY

# At least two, because the first found may end before what is asked for; and
# 8 blocks of 64 KiB take some 5 ms to unpack and pack, which is what appends wait for.
_BLOCKS_PER_STEP = 8
# Keys noted in one pass: 500,000 are some 75 MB; what is beyond waits for the next pass.
_KEYS_PER_PASS = 500_000


def compact_partition(
    storage: Storage,
    partition: PartitionState,
    now: int,
    worth_it: Callable[[int], bool],
    moved: Callable[[PartitionState, int], None],
) -> Iterator[None]:
    """Compact one partition; one bounded piece of work for each `next`.

    Args:
        storage: the file.
        partition: which to compact.
        now: the time by which lag and grace are counted, in ms since the epoch.
        worth_it: told how many records are new since the last pass; False ends the pass before anything is rewritten.
        moved: told the partition and the offset below which records may have gone, after each transaction.
    """
    while True:
        begin = partition.cleaned
        last_offsets: dict[bytes | None, int] = {}
        end = yield from _note_keys(storage, partition, now - MINIMUM_LAG, last_offsets)
        if not worth_it(end - begin):
            return
        stays = _rule(partition, last_offsets, now - TOMBSTONE_GRACE)
        kept = yield from _rewrite(storage, partition, end, stays, moved)
        with storage.transaction() as connection:
            connection.execute("UPDATE partitions SET cleaned = ? WHERE id = ?", (end, partition.identity))
        partition.cleaned = end
        partition.kept = kept
        if len(last_offsets) < _KEYS_PER_PASS:
            return
        yield


def _rule(
    partition: PartitionState, last_offsets: Mapping[bytes | None, int], forgotten: int
) -> Callable[[Record, int], bool]:
    """Say which stay: records without a key, each key's last unless an old tombstone, and the partition's last."""

    def stays(record: Record, appended: int) -> bool:
        if record.key is None or record.offset == partition.end - 1:
            return True
        if record.offset < last_offsets.get(record.key, 0):
            return False
        return record.value is not None or appended >= forgotten

    return stays


def _records(partition: PartitionState, block: BlockRow) -> list[Record]:
    position, _, _, checksum, body = block
    return unpack(partition.topic, partition.number, position, checksum, body)


def _note_keys(
    storage: Storage, partition: PartitionState, youngest: int, last_offsets: dict[bytes | None, int]
) -> Generator[None, None, int]:
    """Note each key's last offset in what is new and old enough; gives the offset reached."""
    reached = partition.cleaned
    while reached < partition.end and len(last_offsets) < _KEYS_PER_PASS:
        begin = reached
        for block in storage.blocks(partition.identity, reached, partition.end, _BLOCKS_PER_STEP):
            _, last, appended, _, _ = block
            if last < reached:
                continue
            if appended > youngest:
                return reached
            for record in _records(partition, block):
                last_offsets[record.key] = record.offset
            reached = last + 1
        if reached == begin:
            # Retention has dropped all there was.
            break
        yield
    return reached


def _rewrite(
    storage: Storage,
    partition: PartitionState,
    end: int,
    stays: Callable[[Record, int], bool],
    moved: Callable[[PartitionState, int], None],
) -> Generator[None, None, int]:
    """Drop the records below `end` that need not stay; gives how many are left."""
    kept = 0
    reached = partition.start
    while reached < end:
        begin = reached
        gone: list[int] = []
        rewritten: list[BlockRow] = []
        for block in storage.blocks(partition.identity, reached, end, _BLOCKS_PER_STEP):
            position, last, appended, _, _ = block
            if last < reached:
                continue
            records = _records(partition, block)
            left = [record for record in records if stays(record, appended)]
            kept += len(left)
            if len(left) < len(records):
                gone.append(position)
                if left:
                    rewritten.append(pack(partition.identity, appended, left))
            reached = last + 1
        if gone:
            with storage.transaction():
                storage.delete_blocks(gone)
                storage.insert_blocks(rewritten)
            moved(partition, reached)
        if reached == begin:
            # An earlier pass has removed what was between here and the end.
            break
        yield
    return kept
