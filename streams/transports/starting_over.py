"""Sources read from their beginning again, because the states that were made of them are gone."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from faust.transport.consumer import ensure_TP
from faust.types import TP

from schemas.log import LogUnavailableError

_logger = logging.getLogger(__name__)


class SourceGoneError(Exception):
    """States are gone, and so is what they were made of; the text says what to do."""


async def start_over(consumer: Any, partitions: Collection[TP]) -> None:
    """Set the committed offsets of partitions back to their beginning, before anything is handed out of them.

    What was emitted already is emitted again, with the same origins, so that nobody counts it twice.

    Args:
        consumer: of Faust; the partitions are assigned to it.
        partitions: of topics that states were made of; those that were never worked on are left alone.

    Raises:
        LogUnavailableError: they can't be set now; call again.
        SourceGoneError: the beginning of a partition is no longer there.
    """
    committed = {ensure_TP(tp): offset for tp, offset in (await consumer.seek_to_committed()).items()}
    starts = {ensure_TP(tp): start for tp, start in (await consumer.earliest_offsets(*partitions)).items()}
    worked_on = sorted(tp for tp in partitions if (committed.get(tp) or 0) > starts[tp])
    for tp in worked_on:
        if starts[tp] > 0:
            raise SourceGoneError(
                f"{tp.topic}[{tp.partition}] was worked on up to {committed[tp]}, and the states that were made of it "
                "are gone, as their changelog is empty. They can't be made again: the log no longer holds what lies "
                f"before {starts[tp]}. Put the changelog back; or set the offsets of the group {consumer.app.conf.id} "
                f"for {tp.topic} to the earliest ones, to begin anew with what is left"
            )
    if not worked_on:
        return
    names = ", ".join(f"{tp.topic}[{tp.partition}]" for tp in worked_on)
    _logger.warning("the states made of %s are gone; they are made again from its beginning", names)
    # No public way of Faust's sets offsets back.
    if not await consumer._commit(dict.fromkeys(worked_on, 0)):  # noqa: SLF001 - as above
        raise LogUnavailableError(f"the offsets of {names} could not be set back")
    for tp in worked_on:
        # aiokafka goes to committed offsets, but not to 0.
        await consumer.seek(tp, 0)
