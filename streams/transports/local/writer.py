"""The one thread that writes: many appends become one transaction, and all of them wait for one sync."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock, Thread
from typing import Any

from schemas.log import LogUnavailableError, Record
from streams.transports.local.blocks import BlockRow, pack_all, record_size
from streams.transports.local.partitions import PartitionState
from streams.transports.local.storage import Storage
from streams.transports.local.submissions import Append, Chore, Errand, OffsetCommit, Submissions
from streams.transports.local.tail import RecentRecords
from streams.transports.local.waiting import Waiter, settle

_LOGGER = logging.getLogger(__name__)

# While appends never pause, chores get a step this often (seconds): 10 ms of every 100.
_CHORE_INTERVAL = 0.1
# How long an idle writer sleeps at most before it looks for what has become due, in seconds.
_IDLE_WAIT = 1.0

_Result = tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], object]
Groups = dict[str, dict[tuple[str, int], int]]


class Writer:
    """Writes what is submitted, in order; on success everything of a transaction becomes visible, else nothing.

    Args:
        storage: the file; used by this thread alone from now on.
        groups: the consumer groups' positions, kept up to date.
        lock: guards the partitions' memory, the groups and the waiters.
        clock: gives the time in ms since the epoch.
        find_chores: called in the writer's thread about once a second and between batches, to hand in what is due.
    """

    def __init__(
        self, storage: Storage, groups: Groups, lock: Lock, clock: Callable[[], int], find_chores: Callable[[], None]
    ) -> None:
        self.submissions = Submissions()
        self.waiters: set[Waiter] = set()
        self._storage = storage
        self._groups = groups
        self._lock = lock
        self._clock = clock
        self._find_chores = find_chores
        self._recent = RecentRecords()
        self._next_chore = 0.0
        self._thread = Thread(target=self._run, name="local-log-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, end the thread, and fail those who wait for records or for chores."""
        self.submissions.close()
        self._thread.join()

    def moved(self, partition: PartitionState, below: int) -> None:
        """Note that records of a partition below an offset have gone from the file."""
        first = self._storage.first_offset(partition.identity)
        with self._lock:
            partition.start = partition.end if first is None else first
            partition.tail.drop_below(below)

    def _run(self) -> None:
        submissions = self.submissions
        while True:
            # Asked before taking: what was handed in before the closing is still taken.
            closing = submissions.closed
            batch = submissions.take()
            if batch:
                self._serve(batch)
                self._storage.checkpoint_if_due()
            elif closing:
                break
            if not batch or time.monotonic() >= self._next_chore:
                self._do_chore()
                self._next_chore = time.monotonic() + _CHORE_INTERVAL
            if not batch and not submissions.chores:
                submissions.wait(_IDLE_WAIT)
        self._leave()

    def _serve(self, batch: list[Append | OffsetCommit | Errand]) -> None:
        for errand in [job for job in batch if isinstance(job, Errand)]:
            _run_errand(errand)
            return
        jobs = [job for job in batch if not isinstance(job, Errand)]
        appends = [job for job in jobs if isinstance(job, Append)]
        commits = [job for job in jobs if isinstance(job, OffsetCommit)]
        results: list[_Result]
        try:
            placed = iter(self._write(appends, commits))
            # In the order of submission, so that who counts on the order of the log sees the same order of answers.
            results = [(job.loop, job.future, next(placed) if isinstance(job, Append) else None) for job in jobs]
        except Exception as error:  # noqa: BLE001 - whatever it is, the submitters must hear of it and the thread live on
            _LOGGER.warning("could not write %d submissions: %s", len(batch), error)
            self._storage.undo()
            # Where the disk is full this lets the -wal file be used again from its start, so that a little may fit.
            self._storage.checkpoint()
            # One exception object each: a traceback grows on an exception that is raised in several tasks.
            results = [(job.loop, job.future, _explained(error)) for job in jobs]
        self.submissions.done(sum(len(job.records) for job in appends), sum(job.size for job in appends))
        self._deliver(results)

    def _write(self, appends: Sequence[Append], commits: Sequence[OffsetCommit]) -> list[list[tuple[int, int]]]:
        now = self._clock()
        fresh: dict[PartitionState, list[Record]] = {}
        placed: list[list[tuple[int, int]]] = []
        for job in appends:
            offsets: list[tuple[int, int]] = []
            for new, target in zip(job.records, job.targets, strict=True):
                run = fresh.get(target)
                if run is None:
                    run = fresh[target] = []
                offset = target.end + len(run)
                timestamp = now if new.timestamp is None else new.timestamp
                run.append(Record(target.topic, target.number, offset, timestamp, new.key, new.value, new.headers))
                offsets.append((target.number, offset))
            placed.append(offsets)
        rows: list[BlockRow] = []
        for partition, run in fresh.items():
            rows.extend(pack_all(partition.identity, now, run))
        positions = [
            (job.group, topic, partition_number, position)
            for job in commits
            for (topic, partition_number), position in job.offsets.items()
        ]
        if rows or positions:
            self._storage.write(rows, positions)
        with self._lock:
            for partition, run in fresh.items():
                partition.end += len(run)
                partition.mark(now)
                size = sum(record_size(record.key, record.value, record.headers) for record in run)
                self._recent.add(partition.tail, run, size)
            for commit in commits:
                self._groups.setdefault(commit.group, {}).update(commit.offsets)
        return placed

    def _deliver(self, results: Sequence[_Result]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
        for loop, future, result in results:
            by_loop.setdefault(loop, []).append((future, result))
        with self._lock:
            served = [waiter for waiter in self.waiters if waiter.is_served()]
            self.waiters.difference_update(served)
        for waiter in served:
            by_loop.setdefault(waiter.loop, []).append((waiter.future, None))
        for loop, settled in by_loop.items():
            # A loop that was closed meanwhile has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, settled)

    def _do_chore(self) -> None:
        chores = self.submissions.chores
        try:
            self._find_chores()
        except Exception:
            _LOGGER.exception("could not look for what is due; trying again")
        if not chores:
            return
        chore = chores[0]
        error: Exception | None = None
        try:
            next(chore.steps)
        except StopIteration:
            pass
        except Exception as failure:  # noqa: BLE001 - a chore that fails is tried again when it is due again
            _LOGGER.warning("%s failed: %s", chore.name, failure)
            self._storage.undo()
            error = failure
        else:
            self._storage.checkpoint_if_due()
            return
        chores.popleft()
        self._storage.checkpoint_if_due()
        self._finish(chore, error)

    def _finish(self, chore: Chore, error: Exception | None) -> None:
        if chore.future is None:
            return
        if error is None:
            chore.future.set_result(None)
        else:
            chore.future.set_exception(_explained(error))

    def _leave(self) -> None:
        closed = LogUnavailableError("the log was closed")
        for chore in self.submissions.chores:
            self._finish(chore, closed)
        self.submissions.chores.clear()
        with self._lock:
            waiters, self.waiters = self.waiters, set()
        for waiter in waiters:
            with suppress(RuntimeError):
                error = LogUnavailableError("the log was closed")
                waiter.loop.call_soon_threadsafe(settle, [(waiter.future, error)])


def _run_errand(errand: Errand) -> None:
    try:
        errand.run()
    except sqlite3.Error as error:
        errand.future.set_exception(_explained(error))
    except Exception as error:  # noqa: BLE001 - handed to the one who waits for it
        errand.future.set_exception(error)
    else:
        errand.future.set_result(None)


def _explained(error: Exception) -> Exception:
    if isinstance(error, sqlite3.Error):
        return LogUnavailableError(
            f"the log could not be written ({error}); free space or repair the disk, then try again"
        )
    if isinstance(error, LogUnavailableError):
        return LogUnavailableError(*error.args)
    return LogUnavailableError(f"the log could not be written ({type(error).__name__}: {error}); try again")
