from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.transports.local.partitioner import murmur2, partition_for

with warnings.catch_warnings():
    # kafka-python 3.0 reads its own files through a deprecated call while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.partitioner.default import murmur2 as kafka_murmur2


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_vectors_of_apache_kafka(key: bytes, signed: int) -> None:
    """The hash is the one that Apache Kafka's own UtilsTest expects."""
    assert murmur2(key) == signed & 0xFFFFFFFF


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=70), st.integers(1, 64))
def test_same_as_kafka_python(key: bytes, partitions: int) -> None:
    """Every key goes to the partition that kafka-python's default partitioner chooses."""
    assert murmur2(key) == kafka_murmur2(key)
    assert partition_for(key, partitions) == (kafka_murmur2(key) & 0x7FFFFFFF) % partitions
