"""The command `sql`."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from schemas.settings import ConfigurationError, Settings
from sinks.history.ask import ask
from sinks.history.output import write_result


def run_sql(settings: Settings, query: str, output: str, out: Path | None, limit: int | None) -> None:
    """Ask, and write the result.

    Raises:
        HistoryError: the query was refused or failed, or there is no history.
        ConfigurationError: the result can't be written there.
    """
    if output == "parquet" and out is None and sys.stdout.isatty():
        raise ConfigurationError("--format parquet writes bytes; name a file with --out")
    result = ask(settings.data, query, limit=limit)
    if out is None:
        width = Console().width if sys.stdout.isatty() else None
        write_result(result, output, sys.stdout.buffer, width=width)
        sys.stdout.buffer.flush()
        return
    try:
        with out.open("wb") as file:
            write_result(result, output, file)
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}; name a file that can be written") from error
