"""Records as they lie in the file: runs of one partition, packed into one row each.

One row per run instead of one per record takes an append of 1,000 records from 1,000 steps of SQLite to a few. Each
step lets go of the interpreter's lock and may wait 5 ms to get it back while other threads are busy, so fewer steps are
what keeps appends fast in a busy process; they also make reading and writing faster.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import msgspec

from schemas.log import Headers, LogUnavailableError, Record

# A position is a partition's number in the file and an offset in one integer: 2^40 offsets at 10,000 a second are three
# years of a single partition without a pause, and leave 2^23 partitions.
OFFSET_BITS = 40
_OFFSET_MASK = (1 << OFFSET_BITS) - 1

# What a read of a single record must load at least; larger blocks were no faster to write or to read.
_BLOCK_BYTES = 64 * 1024

BlockRow = tuple[int, int, int, int, bytes]
"""Position of the first record, offset of the last, when appended (ms since the epoch), CRC-32 of the body, body."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[tuple[int, int, bytes | None, bytes | None, Headers]])


def position_of(partition_id: int, offset: int) -> int:
    """Pack a partition's number in the file and an offset into one integer that sorts by both."""
    return partition_id << OFFSET_BITS | offset


def offset_of(position: int) -> int:
    """Give the offset within a position."""
    return position & _OFFSET_MASK


def record_size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Estimate what a record takes in memory and in the file, in bytes."""
    # 64 bytes for the record itself: its object in memory, its framing in the file.
    size = 64 + (len(key) if key else 0) + (len(value) if value else 0)
    for name, content in headers:
        size += len(name) + len(content)
    return size


def pack(partition_id: int, appended: int, records: Sequence[Record]) -> BlockRow:
    """Pack records of one partition, in order of offset, into one row."""
    first = records[0].offset
    body = _ENCODER.encode([(r.offset - first, r.timestamp, r.key, r.value, r.headers) for r in records])
    return position_of(partition_id, first), records[-1].offset, appended, zlib.crc32(body), body


def pack_all(partition_id: int, appended: int, records: Sequence[Record]) -> Iterator[BlockRow]:
    """Pack records of one partition into as many rows as their size asks for."""
    begin, size = 0, 0
    for index, record in enumerate(records):
        size += record_size(record.key, record.value, record.headers)
        if size >= _BLOCK_BYTES:
            yield pack(partition_id, appended, records[begin : index + 1])
            begin, size = index + 1, 0
    if begin < len(records):
        yield pack(partition_id, appended, records[begin:])


def unpack(topic: str, partition: int, position: int, checksum: int, body: bytes) -> list[Record]:
    """Read the records of one row.

    Raises:
        LogUnavailableError: the row's bytes are not those that were written.
    """
    first = offset_of(position)
    if zlib.crc32(body) != checksum:
        raise LogUnavailableError(
            f"{topic}, partition {partition}, offset {first}: the bytes on disk are not those that were written; "
            "check the disk, and restore the log from a copy"
        )
    return [
        Record(topic, partition, first + step, timestamp, key, value, headers)
        for step, timestamp, key, value, headers in _DECODER.decode(body)
    ]
