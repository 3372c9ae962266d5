"""How the commands run that go on until they are stopped: `up`, `gateway`, `worker`, `history` and `feed`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

import click
import uvloop

from ringwatch.program import P, run_until_stopped
from schemas.settings import Settings

# A full collection holds every request up for 100 to 200 ms. Records and states form no cycles, so rare ones suffice.
_COLLECTIONS = (50_000, 20, 50)

# A fault of the program itself, as agents end the process by it too: a supervisor shall start it again.
_FAULT = 70


def serve(running: AbstractAsyncContextManager[P], words: Callable[[P], Iterable[str]]) -> int:
    """Run until stopped, and say where things are.

    Args:
        running: starts everything, and stops it in order.
        words: what to say once everything runs, one line each.

    Returns:
        The exit code.
    """

    def ready(program: P) -> None:
        _spare_requests()
        for line in words(program):
            click.echo(line, err=True)

    try:
        died = uvloop.run(run_until_stopped(running, on_ready=ready))
    finally:
        # What stays frozen at the end is reported as leaked by libraries that look.
        gc.unfreeze()
    return _FAULT if died else 0


def about_callbacks(settings: Settings, *, insecure: bool) -> list[str]:
    """What to know of the callbacks that are taken."""
    if insecure:
        return ["unsigned callbacks are taken: for trying out on this machine only"]
    if not settings.accounts and not settings.shared_keys:
        return [
            (
                "no account is configured, so every callback will get 403; "
                'set RINGWATCH_ACCOUNTS=\'{"AC…": "auth token"}\' or see `ringwatch check`'
            )
        ]
    return []


def _spare_requests() -> None:
    """Leave what lives as long as the program (modules, models, routes) out of every later garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)
