"""The command `up`."""

from __future__ import annotations

import gc

import click
import uvloop

from ringwatch.up import Up, run_until_stopped
from schemas.settings import Settings

# A full collection holds every request up for 100 to 200 ms. Records and states form no cycles, so rare ones suffice.
_COLLECTIONS = (50_000, 20, 50)


def serve(settings: Settings, *, insecure: bool) -> None:
    """Run until stopped, and say where things are."""

    def ready(up: Up) -> None:
        _spare_requests()
        _say(up, settings, insecure)

    try:
        uvloop.run(run_until_stopped(settings, insecure=insecure, on_ready=ready))
    finally:
        # What stays frozen at the end is reported as leaked by libraries that look.
        gc.unfreeze()


def _spare_requests() -> None:
    """Leave what lives as long as the program (modules, models, routes) out of every later garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


def _say(up: Up, settings: Settings, insecure: bool) -> None:
    click.echo(f"ringwatch listens on {up.address} (API: {up.address}/docs)", err=True)
    click.echo(f"log: {settings.log_path}  history: {settings.history_path}", err=True)
    if insecure:
        click.echo("unsigned callbacks are taken: for trying out on this machine only", err=True)
    elif not settings.accounts and not settings.shared_keys:
        click.echo(
            "no account is configured, so every callback will get 403; "
            'set RINGWATCH_ACCOUNTS=\'{"AC…": "auth token"}\' or see `ringwatch check`',
            err=True,
        )
