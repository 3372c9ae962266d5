"""Which partition a key belongs to: the same as Apache Kafka's default partitioner chooses."""

from __future__ import annotations

from functools import lru_cache
from struct import unpack_from

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF

# A call has four or five callbacks, a number thousands of calls: the keys of the last minutes fit in 16 MB.
_REMEMBERED_KEYS = 65_536


def murmur2(data: bytes) -> int:
    """Hash bytes as `org.apache.kafka.common.utils.Utils.murmur2` does, as an unsigned 32-bit number.

    >>> murmur2(b"21") - (1 << 32)
    -973932308
    """
    length = len(data)
    words = length >> 2
    mixed = _SEED ^ length
    for word in unpack_from(f"<{words}I", data):
        scrambled = (word * _MULTIPLIER) & _WORD
        scrambled ^= scrambled >> 24
        mixed = ((mixed * _MULTIPLIER) ^ (scrambled * _MULTIPLIER)) & _WORD
    rest = data[words << 2 :]
    if rest:
        mixed = ((mixed ^ int.from_bytes(rest, "little")) * _MULTIPLIER) & _WORD
    mixed ^= mixed >> 13
    mixed = (mixed * _MULTIPLIER) & _WORD
    return mixed ^ (mixed >> 15)


@lru_cache(maxsize=_REMEMBERED_KEYS)
def partition_for(key: bytes, partitions: int) -> int:
    """Choose the partition of a key, 0 to `partitions` - 1, as Apache Kafka's Java client does."""
    return (murmur2(key) & _POSITIVE) % partitions
