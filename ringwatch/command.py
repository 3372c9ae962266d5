"""What all commands share: options, settings, and errors that a user can mend."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from schemas.settings import ConfigurationError, Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="Configuration file; default ringwatch.toml."
)
http_option = click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")

# What the shell and service supervisors expect: 2 is a usage or configuration error.
_REFUSED = 2


class Refused(click.ClickException):
    """An error the user can mend; its text says how."""

    exit_code = _REFUSED

    def show(self, file: Any = None) -> None:
        """Print the text on standard error, one line a problem."""
        for line in self.message.splitlines():
            click.echo(f"ringwatch: {line}", err=True, file=file)


def common(command: F) -> F:
    """Options that many commands share."""
    for option in (
        click.option("--data", type=click.Path(path_type=Path), help="Folder of the log, the history and all else."),
        config_option,
    ):
        command = option(command)
    return command


def settings_of(config: Path | None, **given: object) -> Settings:
    """The settings, with what the command line gives on top."""
    try:
        return load_settings(config, **given)
    except ConfigurationError as error:
        raise Refused(str(error)) from error


def run(command: Callable[..., int | None], *arguments: object, **options: object) -> None:
    """Run a command; its errors that a user can mend become one line each.

    The commands are imported when they are called: `ringwatch sql` shall not wait for Faust.
    """
    try:
        status = command(*arguments, **options)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Somebody downstream, such as `head`, has read enough.
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if not _can_be_mended(error):
            raise
        raise Refused(str(error)) from error
    if status:
        sys.exit(status)


def _can_be_mended(error: Exception) -> bool:
    from schemas.log import LogUnavailableError
    from sinks.history.errors import HistoryError

    mendable: tuple[type[Exception], ...] = (ConfigurationError, LogUnavailableError, HistoryError)
    if isinstance(error, mendable):
        return True
    from streams.transports.local.errors import LogError

    return isinstance(error, LogError)


# They write the addresses of webhooks, which hold secrets, into the log.
_TELL_ADDRESSES = ("httpx", "httpcore")


def log_to_stderr() -> None:
    """Log what an operator should know, for as long as the process runs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("faust", "mode", "aiokafka", "uvicorn", "streams.agents", "streams.transports", *_TELL_ADDRESSES):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It tells of a broker that is away many times a second; those who use it tell of what comes of it.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    # Faust expects a broker's rebalance before the first assignment, and warns that it saw none.
    logging.getLogger("streams.agents.app").setLevel(logging.ERROR)
