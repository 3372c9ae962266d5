"""`ringwatch gateway`: Twilio's requests into Kafka, in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ringwatch.appends import WatchedLog
from ringwatch.opening import (
    new_registry,
    open_log,
    place_of_log,
    refuse_insecure_outside,
    require_kafka,
)
from ringwatch.parts import running_parts
from ringwatch.program import Program
from ringwatch.register import open_register, watch_register
from ringwatch.serve import about_callbacks, serve
from ringwatch.server import listening
from schemas.settings import Settings
from sinks.feed.service import create_service
from streams.ingest.gateway import gateway_routes
from streams.ingest.gateway_metrics import GatewayMetrics
from streams.ingest.register_routes import register_routes


@asynccontextmanager
async def running_gateway(settings: Settings, *, insecure: bool = False) -> AsyncIterator[Program]:
    """Run the gateway until the block ends; then open requests are finished, and no more are taken.

    Args:
        settings: checked settings, of Kafka.
        insecure: take unsigned callbacks; on loopback only.

    Raises:
        ConfigurationError: the settings, the register or the topics can't be used.
        LogUnavailableError: Kafka can't be reached.
    """
    require_kafka(settings, "gateway")
    if insecure:
        refuse_insecure_outside(settings)
    registry = new_registry()
    register, terms = open_register(settings, registry)
    async with AsyncExitStack() as stack:
        log = WatchedLog(await stack.enter_async_context(open_log(settings)))
        parts = await stack.enter_async_context(running_parts())
        parts.start("register", lambda stop: watch_register(register, stop))
        metrics = GatewayMetrics(registry)
        api = create_service(
            settings=settings,
            registry=registry,
            readiness={"gateway": log.readiness},
            extra_routes=[
                *gateway_routes(settings, terms, log, insecure=insecure, metrics=metrics),
                *register_routes(register, limit=settings.limits.register_body_bytes),
            ],
        )
        yield Program(await stack.enter_async_context(listening(api, settings)), parts)


def serve_gateway(settings: Settings, *, insecure: bool) -> int:
    """Run the gateway until stopped; give the exit code."""
    return serve(
        running_gateway(settings, insecure=insecure),
        lambda program: (
            f"ringwatch gateway listens on {program.address}",
            f"log: {place_of_log(settings)}",
            *about_callbacks(settings, insecure=insecure),
        ),
    )
