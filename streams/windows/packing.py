"""State as bytes: one byte that is the version, then MessagePack."""

from __future__ import annotations

from typing import TypeVar

import msgspec

S = TypeVar("S")

_encoder = msgspec.msgpack.Encoder()


class UnreadableStateError(ValueError):
    """Bytes that are no state of the expected kind and version."""


def pack(version: int, state: object) -> bytes:
    r"""Write a state with its version first.

    >>> pack(1, [2, 3])
    b'\x01\x92\x02\x03'
    """
    return bytes((version,)) + _encoder.encode(state)


def unpack(version: int, decoder: msgspec.msgpack.Decoder[S], data: bytes, what: str) -> S:
    """Read a state that `pack` wrote.

    Args:
        version: the version this program writes and reads.
        decoder: the decoder of the state's type.
        data: what `pack` returned.
        what: the state's name, for the error.

    Raises:
        UnreadableStateError: the bytes are damaged, or of another version.
    """
    if not data or data[0] != version:
        found = data[0] if data else "none"
        raise UnreadableStateError(
            f"{what}: stored version is {found}, this program reads {version}: "
            "run the version that wrote it, or rebuild the tables from the log"
        )
    try:
        return decoder.decode(memoryview(data)[1:])
    except msgspec.DecodeError as error:
        raise UnreadableStateError(f"{what}: damaged bytes ({error}): rebuild the tables from the log") from error
