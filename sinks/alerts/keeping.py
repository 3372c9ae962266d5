"""The router's state in the data folder: one file, replaced as a whole, so that it is always of one moment."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from schemas.log import Positions
from sinks.alerts.states import Notification, RouterState

_LOGGER = logging.getLogger(__name__)

STATE_FILE = "notifications.json"
_LOCK_FILE = "notifications.lock"
_VERSION = 1


class Pending(msgspec.Struct):
    """A notification that some receivers have not got yet.

    Attributes:
        left: names of those receivers.
    """

    notification: Notification
    left: list[str]


class Kept(msgspec.Struct):
    """What a restart goes on from: how far the log was read, and what came of it.

    Attributes:
        positions: topic, partition and the next offset.
        outbox: decided on, and not delivered everywhere.
    """

    positions: list[tuple[str, int, int]]
    router: RouterState
    outbox: list[Pending]
    version: int = _VERSION

    def places(self) -> Positions:
        """The positions by topic and partition."""
        return {(topic, partition): offset for topic, partition, offset in self.positions}


def load(folder: Path) -> Kept | None:
    """Read what was kept; None if nothing was, or if it can't be read: it is then set aside.

    Args:
        folder: the data folder.
    """
    path = folder / STATE_FILE
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _set_aside(path, str(error))
        return None
    if kept.version > _VERSION:
        _set_aside(path, "it is of a newer ringwatch")
        return None
    return kept


def save(folder: Path, data: bytes) -> None:
    """Replace what was kept; on disk when this returns, and only its own user can read it.

    Args:
        folder: the data folder.
        data: the encoded `Kept`.

    Raises:
        OSError: it could not be written; what was kept before is still there.
    """
    path = folder / STATE_FILE
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def sole_teller(folder: Path) -> Iterator[bool]:
    """Whether this process is the only one that tells people from this folder, for as long as the block runs."""
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _set_aside(path: Path, why: str) -> None:
    with contextlib.suppress(OSError):
        path.replace(path.with_suffix(".damaged"))
    _LOGGER.error("%s can't be read (%s) and is set aside: what fires is told anew", path, why)
