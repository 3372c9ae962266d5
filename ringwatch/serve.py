"""The command `up`."""

from __future__ import annotations

import click
import uvloop

from ringwatch.up import Up, run_until_stopped
from schemas.settings import Settings


def serve(settings: Settings, *, insecure: bool) -> None:
    """Run until stopped, and say where things are."""
    uvloop.run(run_until_stopped(settings, insecure=insecure, on_ready=lambda up: _say(up, settings, insecure)))


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
