"""Bodies and queries taken apart strictly: what is broken is refused with one line, never repaired."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from schemas.callback import Params
from schemas.settings import Limits
from streams.ingest.parameters import as_params

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class UnreadableRequestError(ValueError):
    """A request that can't be taken apart.

    Args:
        status: the HTTP status to answer.
        reason: a word for the counter.
        text: one line for the sender.
    """

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


def parse_form(raw: bytes, limits: Limits) -> Params:
    """Take a form body or a query apart; blank parameters stay, repeated ones become lists.

    Raises:
        UnreadableRequestError: broken percent-encoding or UTF-8, too many or too long parameters.
    """
    if not raw:
        return {}
    if raw.count(b"&") >= limits.parameters:
        raise UnreadableRequestError(400, "too_many_parameters", f"more than {limits.parameters} parameters")
    if b"%" in raw and _BROKEN_ESCAPE.search(raw):
        raise UnreadableRequestError(
            400, "broken_encoding", "broken percent-encoding: write %XX, two hexadecimal digits"
        )
    longest = limits.parameter_length
    params: Params = {}
    try:
        # Once for the whole body: most names and values are plain, and need no more than this.
        text = raw.decode().replace("+", " ")
        for piece in text.split("&"):
            name, _, value = piece.partition("=")
            if "%" in piece:
                name, value = _decoded(name), _decoded(value)
            if len(name) > longest or len(value) > longest:
                raise _too_long(longest)
            if not piece:
                continue
            if name in params:
                before = params[name]
                params[name] = [*before, value] if isinstance(before, list) else [before, value]
            else:
                params[name] = value
    except UnicodeDecodeError:
        raise UnreadableRequestError(400, "broken_encoding", "broken encoding: parameters must be UTF-8") from None
    return params


def _decoded(encoded: str) -> str:
    return unquote_to_bytes(encoded).decode() if "%" in encoded else encoded


def parse_json(raw: bytes, limits: Limits) -> Params | None:
    """Take a JSON body apart; None if it is no JSON object, which is the reader's concern and no broken transport.

    Raises:
        UnreadableRequestError: too many or too long parameters.
    """
    try:
        decoded: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(decoded, dict):
        return None
    if len(decoded) > limits.parameters:
        raise UnreadableRequestError(400, "too_many_parameters", f"more than {limits.parameters} parameters")
    params = as_params(decoded)
    for name, value in params.items():
        longest = max(map(len, value), default=0) if isinstance(value, list) else len(value)
        if max(longest, len(name)) > limits.parameter_length:
            raise _too_long(limits.parameter_length)
    return params


def _too_long(longest: int) -> UnreadableRequestError:
    return UnreadableRequestError(400, "too_long_parameter", f"a parameter is longer than {longest} characters")
