"""`ringwatch worker`: agents on the partitions of Kafka that this process gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ringwatch.agents import Agents, agents_at_work
from ringwatch.opening import new_registry, open_log, place_of_log, require_kafka
from ringwatch.parts import Parts, running_parts
from ringwatch.program import Program
from ringwatch.serve import serve
from ringwatch.server import listening
from ringwatch.ticks import tick_silent_partitions
from schemas.settings import Settings
from sinks.feed.service import create_service


class Worker(Program):
    """A running worker.

    Attributes:
        agents: what it works off.
    """

    def __init__(self, address: str, parts: Parts, agents: Agents) -> None:
        super().__init__(address, parts)
        self.agents = agents


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[Worker]:
    """Run the agents until the block ends; slices in work are then finished, or dropped unapplied.

    Args:
        settings: checked settings, of Kafka.

    Raises:
        ConfigurationError: the settings or the topics can't be used.
        LogUnavailableError: Kafka can't be reached.
    """
    require_kafka(settings, "worker")
    registry = new_registry()
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(settings))
        parts = await stack.enter_async_context(running_parts())
        agents = await stack.enter_async_context(agents_at_work(settings, log, registry, parts))
        parts.start("ticks", lambda stop: tick_silent_partitions(log, stop, agents.callbacks_held))
        api = create_service(settings=settings, registry=registry, readiness={"agents": agents.readiness})
        yield Worker(await stack.enter_async_context(listening(api, settings)), parts, agents)


def serve_worker(settings: Settings) -> int:
    """Run a worker until stopped; give the exit code."""
    return serve(
        running_worker(settings),
        lambda program: (f"ringwatch worker listens on {program.address}", f"log: {place_of_log(settings)}"),
    )
