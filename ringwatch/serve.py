"""How the commands run that go on until they are stopped: `up`, `gateway`, `worker`, `history` and `feed`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, ExitStack

import click
import uvloop

from ringwatch.garbage import rare_collections
from ringwatch.program import P, run_until_stopped
from schemas.settings import Settings

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
    with ExitStack() as stack:

        def ready(program: P) -> None:
            stack.enter_context(rare_collections())
            for line in words(program):
                click.echo(line, err=True)

        died = uvloop.run(run_until_stopped(running, on_ready=ready))
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
