"""The log's SQLite file: its tables, the connections to it, and every statement that writes or reads records.

Layout: `blocks` holds runs of records (see `blocks`), sorted by partition and offset. The next offset of a partition is
the last block's plus one; `partitions.next` remembers it when retention has dropped the last block. Space that dropped
records leave is reused by later ones and not given back to the file system: traffic comes back, and vacuuming would
move pages while appends wait.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from schemas.topics import Cleanup
from streams.transports.local.blocks import OFFSET_BITS, BlockRow, offset_of, position_of
from streams.transports.local.partitions import PartitionState, TopicState
from streams.transports.local.verify import APPLICATION_ID, VERSION, is_new

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cleanup TEXT NOT NULL, retention INTEGER);
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL REFERENCES topics, number INTEGER NOT NULL,
    next INTEGER NOT NULL DEFAULT 0, cleaned INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, number)
);
CREATE TABLE blocks (
    position INTEGER PRIMARY KEY, last INTEGER NOT NULL, appended INTEGER NOT NULL, checksum INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE committed (
    consumers TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (consumers, topic, partition)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""

# Rows in one INSERT: 5 parameters each, far below SQLite's 32,766; 5,000 records of 700 bytes are 60 rows.
_ROWS_PER_INSERT = 64
# A checkpoint of 4 MiB takes 10 to 40 ms, which appends wait for; fewer, larger ones would hold them up for longer.
_CHECKPOINT_BYTES = 4 * 1024 * 1024
# A page is written whole however small the commit.
_PAGE_BYTES = 4_096
# After a burst or a long foreign read the -wal file is cut back to this.
_WAL_KEPT_BYTES = 64 * 1024 * 1024
# Upper levels of the tree for files of many gigabytes; SQLite counts negative figures in KiB.
_CACHE_KIBIBYTES = 16_384
# How many prepared statements a connection keeps; an INSERT of each length is one.
_STATEMENTS = 128

_READ = (
    "SELECT position, last, appended, checksum, body FROM blocks "
    "WHERE position >= ifnull((SELECT max(position) FROM blocks WHERE position BETWEEN ? AND ?), ?) AND position < ? "
    "ORDER BY position LIMIT ?"
)


def open_reading(path: Path) -> sqlite3.Connection:
    """Open a connection that reads what is committed, beside the one that writes."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
    connection.execute("PRAGMA query_only = ON")
    return connection


def read_blocks(connection: sqlite3.Connection, partition_id: int, offset: int, end: int, limit: int) -> sqlite3.Cursor:
    """Find up to `limit` blocks of a partition, from the one that may hold `offset` up to `end`, without `end`."""
    lowest, wanted = position_of(partition_id, 0), position_of(partition_id, offset)
    return connection.execute(_READ, (lowest, wanted, wanted, position_of(partition_id, end), limit))


class Storage:
    """The writing side of a log's file; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        new = is_new(path)
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
        )
        self._unchecked_bytes = 0
        try:
            self._prepare(path, new)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, path: Path, new: bool) -> None:
        connection = self._connection
        # secure_delete would overwrite what retention drops, page by page, while appends wait.
        connection.execute("PRAGMA secure_delete = OFF")
        if new:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
        # FULL makes every commit a sync of the -wal file: what is acknowledged survives a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        # Checkpoints are made between batches, see `checkpoint_if_due`.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        if new:
            connection.executescript(_SCHEMA)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Move everything from the -wal file into the log's file, and close."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make all of the block's statements durable together, or none."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Roll back what is open; after some errors SQLite has already done so by itself."""
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def write(self, rows: Sequence[BlockRow], committed: Sequence[tuple[str, str, int, int]]) -> None:
        """Make blocks and consumer groups' positions durable together, or none of them."""
        if not committed and 0 < len(rows) <= _ROWS_PER_INSERT:
            # A single statement is its own transaction, and one wait for the interpreter's lock instead of three.
            self.insert_blocks(rows)
        else:
            with self.transaction() as connection:
                self.insert_blocks(rows)
                if committed:
                    connection.executemany("INSERT OR REPLACE INTO committed VALUES (?, ?, ?, ?)", committed)

    def insert_blocks(self, rows: Sequence[BlockRow]) -> None:
        """Insert blocks, as part of the open transaction or as one of their own."""
        for begin in range(0, len(rows), _ROWS_PER_INSERT):
            some = rows[begin : begin + _ROWS_PER_INSERT]
            places = ",".join(["(?, ?, ?, ?, ?)"] * len(some))
            self._connection.execute(
                f"INSERT INTO blocks VALUES {places}",  # noqa: S608 - nothing but question marks is put in
                [field for row in some for field in row],
            )
            self._unchecked_bytes += sum(len(row[-1]) + _PAGE_BYTES for row in some)

    def delete_blocks(self, positions: Sequence[int]) -> None:
        """Delete blocks within the open transaction."""
        self._connection.executemany("DELETE FROM blocks WHERE position = ?", [(position,) for position in positions])
        # The freed pages' bookkeeping goes through the -wal file too.
        self._unchecked_bytes += len(positions) * _PAGE_BYTES

    def blocks(self, partition_id: int, offset: int, end: int, limit: int) -> list[BlockRow]:
        """Read up to `limit` whole blocks of a partition from the one that may hold `offset` up to `end`."""
        return read_blocks(self._connection, partition_id, offset, end, limit).fetchall()

    def block_ages(self, partition_id: int, limit: int) -> list[tuple[int, int, int]]:
        """Give position, last offset and time of appending of a partition's first blocks."""
        return self._connection.execute(
            "SELECT position, last, appended FROM blocks WHERE position BETWEEN ? AND ? ORDER BY position LIMIT ?",
            (position_of(partition_id, 0), position_of(partition_id + 1, 0) - 1, limit),
        ).fetchall()

    def first_offset(self, partition_id: int) -> int | None:
        """Give the first offset left in a partition, None where it is empty."""
        (position,) = self._connection.execute(
            "SELECT min(position) FROM blocks WHERE position BETWEEN ? AND ?",
            (position_of(partition_id, 0), position_of(partition_id + 1, 0) - 1),
        ).fetchone()
        return None if position is None else offset_of(position)

    def checkpoint_if_due(self) -> None:
        """Move commits from the -wal file into the log's file once there are enough of them."""
        if self._unchecked_bytes >= _CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Move commits from the -wal file into the log's file; where that fails they stay safe where they are."""
        self._unchecked_bytes = 0
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def save_topic(self, name: str, partitions: int, cleanup: Cleanup, retention: int | None) -> TopicState:
        """Make a topic with empty partitions."""
        with self.transaction() as connection:
            identity = connection.execute(
                "INSERT INTO topics (name, cleanup, retention) VALUES (?, ?, ?)", (name, cleanup.value, retention)
            ).lastrowid
            assert identity is not None
            topic = TopicState(identity, name, cleanup, retention)
            for number in range(partitions):
                partition_id = connection.execute(
                    "INSERT INTO partitions (topic, number) VALUES (?, ?)", (identity, number)
                ).lastrowid
                assert partition_id is not None
                topic.partitions.append(PartitionState(partition_id, name, number, 0, 0, 0))
        return topic

    def change_topic(self, topic: TopicState, cleanup: Cleanup, retention: int | None) -> None:
        """Store another cleanup and retention for a topic."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE topics SET cleanup = ?, retention = ? WHERE id = ?", (cleanup.value, retention, topic.identity)
            )

    def load_topics(self) -> dict[str, TopicState]:
        """Read all topics with their partitions' first and next offsets."""
        connection = self._connection
        topics = {
            identity: TopicState(identity, name, Cleanup(cleanup), retention)
            for identity, name, cleanup, retention in connection.execute("SELECT * FROM topics ORDER BY id")
        }
        rows = connection.execute("SELECT id, topic, number, next, cleaned FROM partitions ORDER BY topic, number")
        for identity, topic_id, number, remembered, cleaned in rows.fetchall():
            topic = topics[topic_id]
            last = connection.execute(
                "SELECT last, appended FROM blocks WHERE position BETWEEN ? AND ? ORDER BY position DESC LIMIT 1",
                (identity << OFFSET_BITS, ((identity + 1) << OFFSET_BITS) - 1),
            ).fetchone()
            end = remembered if last is None else last[0] + 1
            first = self.first_offset(identity)
            state = PartitionState(identity, topic.name, number, end if first is None else first, end, cleaned)
            if last is not None:
                state.mark(last[1])
            topic.partitions.append(state)
        return {topic.name: topic for topic in topics.values()}

    def load_committed(self) -> dict[str, dict[tuple[str, int], int]]:
        """Read the positions of all consumer groups."""
        groups: dict[str, dict[tuple[str, int], int]] = {}
        for group, topic, partition, position in self._connection.execute("SELECT * FROM committed"):
            groups.setdefault(group, {})[topic, partition] = position
        return groups
