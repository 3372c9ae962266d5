"""One writer per log: an exclusive lock on a file beside it, which the system lets go when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from streams.transports.local.errors import LogInUseError


def take_lock(path: Path) -> int:
    """Lock `<path>.lock` for this process and return the file descriptor that holds the lock.

    Raises:
        LogInUseError: somebody else holds it; the text names the process.
    """
    lock_path = path.with_name(path.name + ".lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise LogInUseError(
            f"the log {path} is in use by process {holder}; stop that process, or choose another data folder"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    except OSError:
        # A full disk must not stop a restart: the lock itself needs no space, only its text does.
        pass
    return descriptor


def release_lock(descriptor: int) -> None:
    """Let go of the lock; its file stays, because removing it would race with the next owner."""
    os.close(descriptor)
