"""Drops what is older than a topic's retention, from the oldest block on.

Age counts from when a record was appended, not from the record's own timestamp: a past that is imported today is kept
as long as today's traffic, or it would be gone before anybody has read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streams.transports.local.partitions import PartitionState
from streams.transports.local.storage import Storage

# Freeing 32 blocks of 64 KiB walks some 500 pages, a few milliseconds, while appends wait.
_BLOCKS_PER_STEP = 32


def expire_partition(
    storage: Storage, partition: PartitionState, oldest: int, moved: Callable[[PartitionState, int], None]
) -> Iterator[None]:
    """Drop the blocks at the front that were appended before `oldest`; one bounded transaction for each `next`.

    Args:
        storage: the file.
        partition: whose blocks.
        oldest: time of appending (ms since the epoch) from which on blocks are kept.
        moved: told the partition and the offset below which all records have gone, after each transaction.
    """
    while True:
        expired: list[int] = []
        last = -1
        for position, block_last, appended in storage.block_ages(partition.identity, _BLOCKS_PER_STEP):
            if appended >= oldest:
                break
            expired.append(position)
            last = block_last
        if not expired:
            return
        with storage.transaction() as connection:
            # Where the last block goes, only this remembers the next offset.
            connection.execute("UPDATE partitions SET next = ? WHERE id = ?", (last + 1, partition.identity))
            storage.delete_blocks(expired)
        moved(partition, last + 1)
        if len(expired) < _BLOCKS_PER_STEP:
            return
        yield
