"""The end of a word that allowed a subject until a time: it is recorded, so that whoever follows the stream learns."""

from __future__ import annotations

import asyncio
import logging

from schemas.alert import Subject
from schemas.log import Log, LogUnavailableError, NewRecord
from schemas.suppression import OVERRIDE, suppression_key, words_header
from schemas.topics import SUPPRESSIONS
from sinks.feed.board import Board
from sinks.feed.parameters import Clock, wall_clock
from sinks.feed.suppressions import HeldSuppression

_LOGGER = logging.getLogger(__name__)

# Lists and verdicts know the end at once; the stream tells of it so much late at most.
_GLANCE_SECONDS = 0.5


async def end_allowances(board: Board, log: Log, stop: asyncio.Event, clock: Clock = wall_clock) -> None:
    """Record the end of each word that allowed a subject until a time, when that time has come.

    Several processes may do so at once: the end of a word says nothing against a later one.

    Args:
        board: knows the words.
        log: gets their ends.
        stop: ends this.
        clock: the wall clock, in milliseconds since the epoch.
    """
    written: set[HeldSuppression] = set()
    while not stop.is_set():
        if board.caught_up.is_set():
            ended = set(board.suppressions.ended_allowances(clock()))
            fresh = ended - written
            try:
                if fresh:
                    await log.append([_end(word) for word in fresh])
                written = ended
            except LogUnavailableError as error:
                _LOGGER.warning("the end of %d overrides could not be recorded (%s); trying again", len(fresh), error)
        try:
            async with asyncio.timeout(_GLANCE_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


def _end(word: HeldSuppression) -> NewRecord:
    assert word.until is not None
    key = suppression_key(Subject(word.kind, word.value), OVERRIDE, word.scope)
    # Never before the word's own cause, also where a clock was set back when it was said; and before the cause of a
    # word that is said as this one ends.
    at = max(word.until - 1, word.said_at)
    return NewRecord(SUPPRESSIONS.name, key, None, headers=words_header("", at))
