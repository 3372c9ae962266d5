"""The note that `ringwatch up` leaves in its data folder, so that other commands find the running program."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sinks.history.ask import RUNNING_FILE, Running


def new_token() -> str:
    """A secret for the commands of this run."""
    return secrets.token_urlsafe(32)


@contextmanager
def note_of(data: Path, address: str, token: str) -> Iterator[None]:
    """Keep the note for the time the program serves; only its own user can read it.

    Args:
        data: the data folder.
        address: base URL of the HTTP server.
        token: what commands authorise themselves with.
    """
    path = data / RUNNING_FILE
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(Running(pid=os.getpid(), http=address, token=token)))
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
