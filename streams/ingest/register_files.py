"""The register's files while the gateway runs: read again when they change, and written by the API."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from schemas.register import Kind, Register, Rows, combine, places, read_file, read_rows, replace_file, write_rows
from schemas.settings import ConfigurationError, Settings

_log = logging.getLogger(__name__)

# Whoever writes a file in place is given this long to finish before it is read.
_SETTLED_SECONDS = 0.25

_Stamp = tuple[int, int, int]
"""Time of change in nanoseconds, size in bytes and inode of a file."""


class NoFileError(ConfigurationError):
    """No file is configured for what was sent; the text says which setting to write."""


class _Read(msgspec.Struct, frozen=True):
    stamp: _Stamp | None
    rows: Rows


class RegisterFiles:
    """Keeps the register that the settings' files give; a bad file changes nothing but `error`.

    Reading and writing are done in threads, one at a time.

    Args:
        settings: name the files.
        take: is given each new register, on the event loop.

    Attributes:
        register: the last good one; empty until `load`.
        loaded_at: when it was read, in milliseconds since the epoch.
        error: why the files as they are now can't be used; None if they can.
        error_at: when that was found, in milliseconds since the epoch.
    """

    def __init__(self, settings: Settings, take: Callable[[Register], None] | None = None) -> None:
        self.register = Register()
        self.loaded_at = _now()
        self.error: str | None = None
        self.error_at: int | None = None
        self._places = places(settings.register_file, settings.campaigns_file, settings.contacts_file)
        self._read: dict[Path, _Read] = {}
        self._seen: dict[Path, _Stamp | None] = {}
        self._take = take
        self._lock = asyncio.Lock()

    @property
    def files(self) -> list[Path]:
        """The files there are to read."""
        return [path for path, _, _ in self._places]

    def load(self) -> Register:
        """Read the files for the first time.

        Raises:
            ConfigurationError: they can't be used.
        """
        self._seen = self._stamps()
        self._read = self._read_changed()
        self.register = combine([(path, read.rows) for path, read in self._read.items()])
        self.loaded_at = _now()
        return self.register

    async def refresh(self) -> bool:
        """Read what has changed, and tell whether there is a new register.

        A file that is still being written is left until it has settled. Errors are logged once for each change.
        """
        async with self._lock:
            stamps = await asyncio.to_thread(self._stamps)
            if stamps == self._seen:
                return False
            await asyncio.sleep(_SETTLED_SECONDS)
            if stamps != await asyncio.to_thread(self._stamps):
                return False
            return await self._load_changed(stamps)

    async def replace(self, kind: Kind, suffix: str, body: bytes) -> Register:
        """Put rows in the place of all of their kind: checked whole, written to their file, and loaded.

        Args:
            kind: what the rows speak of; those of other kinds stay.
            suffix: what the body is, `.csv` or `.toml`.
            body: the rows.

        Raises:
            NoFileError: no file is configured for them.
            ConfigurationError: a row, or the file they belong in, can't be used; nothing was changed.
        """
        async with self._lock:
            path, read, register = await asyncio.to_thread(self._replace, kind, suffix, body)
            if self.error is not None:
                # Another file may be the bad one, so all are looked at again.
                self._seen = {}
            self._read[path] = read
            self._seen[path] = read.stamp
            self._use(register)
            return register

    async def _load_changed(self, stamps: dict[Path, _Stamp | None]) -> bool:
        self._seen = stamps
        try:
            read = await asyncio.to_thread(self._read_changed)
            register = await asyncio.to_thread(combine, [(path, one.rows) for path, one in read.items()])
        except ConfigurationError as error:
            self.error, self.error_at = str(error), _now()
            _log.error("the register was not loaded, the last good one stays:\n%s", error)
            return False
        self._read = read
        self._use(register)
        return True

    def _use(self, register: Register) -> None:
        self.register, self.loaded_at = register, _now()
        self.error = self.error_at = None
        if self._take is not None:
            self._take(register)
        _log.info(
            "register loaded: %d numbers, %d campaigns, %d contacts",
            len(register.numbers),
            len(register.campaigns),
            len(register.contacts),
        )

    def _stamps(self) -> dict[Path, _Stamp | None]:
        return {path: _stamp(path) for path in self.files}

    def _read_changed(self) -> dict[Path, _Read]:
        found = {}
        for path, setting, only in self._places:
            stamp = _stamp(path)
            known = self._read.get(path)
            unchanged = known is not None and known.stamp == stamp is not None
            found[path] = known if known is not None and unchanged else _Read(stamp, read_file(path, setting, only))
        return found

    def _replace(self, kind: Kind, suffix: str, body: bytes) -> tuple[Path, _Read, Register]:
        rows = read_rows("body", suffix, io.BytesIO(body), kind)
        path, held = self._file_of(kind)
        changed = msgspec.structs.replace(held, **{kind.value: rows.of(kind)})
        others = {place: self._read[place].rows for place in self.files if place != path}
        register = combine([(place, others.get(place, changed)) for place in self.files])
        written = replace_file(path, write_rows(path.suffix.lower(), kind, changed))
        return path, _Read(_stamp_of(written), changed), register

    def _file_of(self, kind: Kind) -> tuple[Path, Rows]:
        """Give the file where rows of a kind belong, and what it holds now besides them."""
        own = {only: path for path, _, only in self._places}
        if kind in own:
            return own[kind], Rows()
        for path, setting, only in self._places:
            if only is None and path.suffix.lower() == ".toml":
                return path, read_file(path, setting)
            if only is None and self._csv_holds(path) is kind:
                return path, Rows()
        setting = "register_file" if kind is Kind.NUMBERS else f"{kind}_file"
        raise NoFileError(f"no file is configured for {kind}; set {setting} to a CSV or TOML file and start again")

    def _csv_holds(self, path: Path) -> Kind:
        """Tell which kind of rows a CSV file was last read with; numbers if it had none."""
        rows = self._read[path].rows
        return next((kind for kind in Kind if rows.of(kind)), Kind.NUMBERS)


def _stamp(path: Path) -> _Stamp | None:
    try:
        return _stamp_of(path.stat())
    except OSError:
        return None


def _stamp_of(found: os.stat_result) -> _Stamp:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _now() -> int:
    return time.time_ns() // 1_000_000
