"""A stage that reads two topics has an agent for each, and one table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from schemas.call import CallFact, Contribution, Direction, FactKind, Origin
from schemas.log import NewRecord
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.settings import Settings
from schemas.times import from_iso
from schemas.topics import CONTACTS, OPTOUTS, SUPPRESSIONS

AgentsOn = Callable[[Settings], AbstractAsyncContextManager[Any]]

AT = from_iso("2026-01-15T18:00:00Z")
PERSON = "+12125550142"


def _opt_out() -> NewRecord:
    said = OptOut(contact=PERSON, opted_out=True, source=OptOutSource.API, channel=Channel.VOICE, at=AT)
    return NewRecord(OPTOUTS.name, PERSON.encode(), said.encode())


def _call() -> NewRecord:
    fact = CallFact(
        fact=FactKind.PLACED,
        revision=0,
        origin=Origin(0, 0, 0),
        at=AT,
        call_sid="CA1",
        account_sid="AC1",
        number="+12025550100",
        contact=PERSON,
        campaign="spring-sale",
        direction=Direction.OUTBOUND_API,
        counted=True,
        after=Contribution(attempted_at=AT),
    )
    return NewRecord(CONTACTS.name, PERSON.encode(), fact.encode())


def test_what_one_agent_has_not_told_yet_is_not_kept_by_the_other(settings: Settings, agents_on: AgentsOn) -> None:
    """While an opt-out's suppression waits for the log, a call of the same person keeps no state that has it told."""
    kept_before_told: list[bool] = []

    async def run() -> None:
        async with agents_on(settings) as agents:
            table = agents.app.tables["contacts"]
            publish, keep = agents.app.producer.publish, table.states.keep
            waits, told = asyncio.Event(), asyncio.Event()

            async def slow(records: Sequence[NewRecord]) -> Any:
                if any(record.topic == SUPPRESSIONS.name for record in records):
                    waits.set()
                    # As long as a log that is away for a moment.
                    await asyncio.sleep(0.5)
                    told.set()
                return await publish(records)

            async def watched(changes: Any) -> None:
                kept_before_told.append(waits.is_set() and not told.is_set())
                await keep(changes)

            agents.app.producer.publish, table.states.keep = slow, watched
            await agents.log.append([_opt_out()])
            await asyncio.wait_for(waits.wait(), 30)
            await agents.log.append([_call()])
            await agents.idle()

    asyncio.run(run())
    assert len(kept_before_told) == 2
    assert not any(kept_before_told)
