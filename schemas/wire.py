"""Bytes of ringwatch's own topics: JSON, one record a message, each with its version.

Records are made and dropped by the hundred thousand and can't refer to themselves, so Python's cyclic garbage collector
is not told of them (`gc=False`): it would visit them again and again, where reference counts free them all.

A record carries `v`, the version of its shape. A field may be added with a default without a new version; anything
else raises `VERSION` of the record and adds a reader for the bytes of yesterday.
"""

from __future__ import annotations

from typing import ClassVar, Self, TypeVar

import msgspec

_encoder = msgspec.json.Encoder()


class UnreadableRecordError(ValueError):
    """Bytes that are no record of the expected kind, with the reason."""


class Versioned(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A record that knows its version, writes itself and reads the bytes of every version so far."""

    VERSION: ClassVar[int] = 1

    v: int = 1

    def encode(self) -> bytes:
        """Write the record as JSON."""
        return _encoder.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a record from JSON.

        Raises:
            UnreadableRecordError: not this record's JSON, or of a version newer than this program.
        """
        try:
            record = _decoder(cls).decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableRecordError(f"no {cls.__name__}: {error}") from error
        if record.v > cls.VERSION:
            raise UnreadableRecordError(
                f"{cls.__name__} of version {record.v}, this program reads up to {cls.VERSION}: upgrade ringwatch"
            )
        return record


R = TypeVar("R", bound=Versioned)

_decoders: dict[type[Versioned], msgspec.json.Decoder[Versioned]] = {}


def _decoder(cls: type[R]) -> msgspec.json.Decoder[R]:
    found = _decoders.get(cls)
    if found is None:
        found = _decoders[cls] = msgspec.json.Decoder(cls)
    return found  # type: ignore[return-value]  # the table is keyed by the very type it decodes
