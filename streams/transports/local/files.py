"""Reads committed records from the file, beside the writer and from any thread."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from schemas.log import LogUnavailableError, Record
from streams.transports.local.blocks import unpack
from streams.transports.local.partitions import PartitionState
from streams.transports.local.storage import open_reading, read_blocks


class Files:
    """Reading connections, one for each thread that reads at the same time; kept for the next read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def read(self, partition: PartitionState, offset: int, end: int, limit: int) -> list[Record]:
        """Read up to `limit` records of a partition from `offset` on and before `end`.

        Raises:
            LogUnavailableError: the file can't be read.
        """
        try:
            connection = self._idle.pop() if self._idle else open_reading(self._path)
        except sqlite3.Error as error:
            raise self._unreadable(partition, offset, error) from error
        try:
            return self._read(connection, partition, offset, end, limit)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise self._unreadable(partition, offset, error) from error
        finally:
            self._idle.append(connection)
            if self._closed:
                self.close()

    def close(self) -> None:
        """Close the connections; a read that is still going on closes its own."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _unreadable(self, partition: PartitionState, offset: int, error: Exception) -> LogUnavailableError:
        return LogUnavailableError(
            f"{self._path}: {partition.topic}, partition {partition.number} can't be read from offset {offset} "
            f"({error}); check the disk, then try again"
        )

    @staticmethod
    def _read(
        connection: sqlite3.Connection, partition: PartitionState, offset: int, end: int, limit: int
    ) -> list[Record]:
        records: list[Record] = []
        rows = read_blocks(connection, partition.identity, offset, end, -1)
        try:
            for position, _, _, checksum, body in rows:
                block = unpack(partition.topic, partition.number, position, checksum, body)
                if block[0].offset < offset or block[-1].offset >= end:
                    block = [record for record in block if offset <= record.offset < end]
                records += block
                if len(records) >= limit:
                    del records[limit:]
                    break
        finally:
            # An open cursor would keep the -wal file from being used again from its start.
            rows.close()
        return records
