"""Faust's table of a stage's states, which reads its changelog itself.

Faust restores a table record by record, at 0.1 ms each, and may hang where compaction has left gaps. So this table
tells Faust that there is nothing to restore, and reads its changelog in bulk once its partitions are assigned.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Collection, MutableMapping, Sequence
from typing import Any

import faust
from faust.types import TP

from schemas.log import Log, NewRecord
from schemas.topics import Topic
from streams.agents.effects import StoppedError, persist
from streams.agents.owned_states import OwnedStates
from streams.agents.stage import Stage, StageOf
from streams.transports.starting_over import start_over

_logger = logging.getLogger(__name__)


class StateTable(faust.Table[bytes, bytes]):
    """A stage's table: states, and the stage itself, by the partitions that this worker owns."""

    # Set by `attach`, as Faust makes tables with arguments of its own.
    states: OwnedStates
    in_turn: asyncio.Lock
    _stage_of: StageOf
    _stages: dict[int, Stage]
    _turn: int

    def attach(self, log: Log, stage_of: StageOf, sources: Sequence[Topic]) -> None:
        """Say where states are kept, and how the stage of a partition is made.

        Args:
            log: the changelog is in it.
            stage_of: makes a stage over the states of one partition.
            sources: what the stage reads, and all that its states are made of.
        """
        app: Any = self.app

        # Faust makes its producer when it is first asked for, which must not be before the app starts.
        async def publish(records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
            places: Sequence[tuple[int, int]] = await app.producer.publish(records)
            return places

        async def on_empty(partitions: Collection[int]) -> None:
            await start_over(app.consumer, {TP(topic.name, number) for topic in sources for number in partitions})

        self.states = OwnedStates(self.changelog_topic.get_topic_name(), log, publish, on_empty)
        self.in_turn = asyncio.Lock()
        self._stage_of = stage_of
        self._stages = {}
        self._turn = 0

    def stage(self, partition: int) -> Stage:
        """The stage of a partition.

        Raises:
            LostClaimError: the partition is not owned.
        """
        found = self._stages.get(partition)
        if found is None:
            data: MutableMapping[bytes, bytes] = self.states.of(partition)
            found = self._stages[partition] = self._stage_of(data)
        return found

    def persisted_offset(self, tp: TP) -> int | None:  # noqa: ARG002 - Faust's signature
        """Tell Faust that it has nothing to read."""
        return sys.maxsize

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Read the states of the partitions that are this worker's now; Faust begins to hand out records after this."""
        partitions = {tp.partition for tp in active_tps}
        self._turn = turn = self._turn + 1

        async def own() -> None:
            # Faust does not end this when it rebalances again: what is another worker's by now must not be claimed.
            if turn != self._turn:
                return
            for partition in await self.states.own(partitions):
                self._stages.pop(partition, None)
            for partition in self._stages.keys() - partitions:
                del self._stages[partition]

        try:
            await persist(own, lambda: self.app.should_stop)
        except StoppedError:
            return
        except Exception:
            # Faust would go on with tables half read.
            _logger.critical("the states of %s can't be read; ending the process", self.name, exc_info=True)
            logging.shutdown()
            os._exit(70)
        await super().on_recovery_completed(active_tps, standby_tps)
