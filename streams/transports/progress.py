"""Workers tell each other where their partitions stand, so that none runs ahead of another's backlog.

Nothing depends on this for being counted once or at all; it only keeps the order in which calls are seen close to the
order in which they were made.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from schemas.log import Log, LogUnavailableError, NewRecord, Record
from schemas.topics import PROGRESS
from streams.transports.slicing import SlicingConsumer

# Word of a step takes about this long to the other workers.
_BETWEEN_WORDS_SECONDS: Final = 0.02
# Who joins is told within this time, also of partitions that do not move.
_AGAIN_SECONDS: Final = 1.0
# How long a worker that has just got its partitions waits for word of those it did not get.
_EXPECTED_WITHIN_SECONDS: Final = 3.0
_WAIT_SECONDS: Final = 0.5
_RECORDS_A_FETCH: Final = 1_000

_logger = logging.getLogger(__name__)

Publish = Callable[[Sequence[NewRecord]], Awaitable[object]]


class Word(msgspec.Struct, frozen=True):
    """What a worker says of a partition.

    Attributes:
        partition: its number.
        at: time of its next record in ms since the epoch; None if none is waiting.
        next_offset: of the next record to be handed out.
    """

    partition: int
    at: int | None
    next_offset: int


_decoder = msgspec.json.Decoder(Word)


class Progress:
    """What this worker tells of its partitions, and hears of those of others.

    Args:
        consumer: has the partitions, and waits for others'.
        topic: whose partitions are aligned.
        log: the words are read from it.
        publish: writes the words.
    """

    def __init__(self, consumer: SlicingConsumer, topic: str, log: Log, publish: Publish) -> None:
        self._consumer = consumer
        self._topic = topic
        self._log = log
        self._publish = publish
        self._told: dict[int, tuple[Word, float]] = {}
        self._heard: dict[int, Word] = {}

    async def run(self, stopping: Callable[[], bool]) -> None:
        """Tell and hear until the program is asked to end."""
        while not stopping():
            try:
                # One that fails ends the others, or each outage would leave some behind.
                async with asyncio.TaskGroup() as together:
                    for task in (self._tell, self._hear, self._look):
                        together.create_task(task(stopping))
            except* LogUnavailableError as failed:
                _logger.warning("workers can't hear of each other now: %s", failed.exceptions[0])
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _tell(self, stopping: Callable[[], bool]) -> None:
        partitions = await self._log.partitions(self._topic)
        while not stopping():
            places = self._consumer.places()
            # Alone, there is nobody to tell.
            if 0 < len(places) < partitions:
                self._expect_others(partitions, places)
                await self._say(places)
            await asyncio.sleep(_BETWEEN_WORDS_SECONDS)

    def _expect_others(self, partitions: int, places: Mapping[int, object]) -> None:
        now = time.monotonic()
        for partition in range(partitions):
            if partition not in places:
                self._consumer.alignment.expect(partition, now, _EXPECTED_WITHIN_SECONDS)

    async def _say(self, places: Mapping[int, tuple[int | None, int]]) -> None:
        now = time.monotonic()
        words = []
        for partition, (at, next_offset) in places.items():
            word = Word(partition, at, next_offset)
            before = self._told.get(partition)
            moved = before is None or before[0].at != at
            if before is None or moved or now - before[1] >= _AGAIN_SECONDS:
                words.append(word)
                self._told[partition] = word, now
        if words:
            await self._publish(
                [NewRecord(PROGRESS.name, None, msgspec.json.encode(word), partition=0) for word in words]
            )

    async def _hear(self, stopping: Callable[[], bool]) -> None:
        end = (await self._log.ends(PROGRESS.name))[0]
        reader = await self._log.reader({(PROGRESS.name, 0): end})
        try:
            while not stopping():
                for record in await reader.fetch(_RECORDS_A_FETCH, _WAIT_SECONDS):
                    self._take(record)
        finally:
            await reader.close()

    def _take(self, record: Record) -> None:
        try:
            word = _decoder.decode(record.value or b"")
        except msgspec.MsgspecError:
            return
        if word.partition not in self._consumer.places():
            if self._heard.get(word.partition) != word:
                self._heard[word.partition] = word
            self._consumer.alignment.stands(word.partition, word.at, time.monotonic(), own=False)

    async def _look(self, stopping: Callable[[], bool]) -> None:
        """See for oneself whether a partition of a worker that says nothing has something waiting."""
        silent: dict[int, Word] = {}
        while not stopping():
            await asyncio.sleep(_AGAIN_SECONDS)
            own, reached = self._consumer.places(), self._consumer.reached()
            if not own or not self._heard or reached is None:
                continue
            ends = await self._log.ends(self._topic)
            waiting = {
                partition: word
                for partition, word in self._heard.items()
                if partition not in own and word.at is None and ends.get(partition, 0) > word.next_offset
            }
            for partition, word in waiting.items():
                # A worker at work would have said so meanwhile.
                if silent.get(partition) is word:
                    self._consumer.alignment.stands(partition, reached, time.monotonic(), own=False)
            silent = {partition: word for partition, word in waiting.items() if self._heard[partition] is word}
