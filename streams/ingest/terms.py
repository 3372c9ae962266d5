"""What settings and register say about reading requests, made ready once."""

from __future__ import annotations

import unicodedata
from typing import Self
from urllib.parse import urlsplit

import msgspec

from schemas.register import Register
from schemas.settings import Settings
from schemas.times import HOUR, SECOND


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What understanding needs to know besides the request itself.

    Attributes:
        register: whose campaigns stand in where the path names none.
        past: how long before its receipt a time may lie, in milliseconds.
        future: how long after.
        stop_words: messages that opt out, as `plain` writes them.
        start_words: messages that opt back in.
        opt_out_digits: key presses that opt out.
        opt_out_phrases: phrases that opt out, as `plain` writes them.
        path_prefix: what stands before "/twilio/" in the path that Twilio calls.
    """

    register: Register
    past: int
    future: int
    stop_words: frozenset[str]
    start_words: frozenset[str]
    opt_out_digits: frozenset[str]
    opt_out_phrases: tuple[str, ...]
    path_prefix: str = ""

    @classmethod
    def of(cls, settings: Settings, register: Register) -> Self:
        """Make the terms of settings and a register."""
        return cls(
            register=register,
            past=round(settings.assembly.past_tolerance_hours * HOUR),
            future=round(settings.assembly.future_tolerance_seconds * SECOND),
            stop_words=frozenset(filter(None, map(plain, settings.messaging.stop_words))),
            start_words=frozenset(filter(None, map(plain, settings.messaging.start_words))),
            opt_out_digits=frozenset(digits.strip() for digits in settings.gather.opt_out_digits if digits.strip()),
            opt_out_phrases=tuple(filter(None, map(plain, settings.gather.opt_out_words))),
            path_prefix=urlsplit(settings.public_url).path.rstrip("/") if settings.public_url else "",
        )


class CurrentTerms:
    """The terms as they are now: the register in them may change while requests come in.

    Args:
        settings: they stay as they are.
        register: the one to begin with.

    Attributes:
        now: what a request is understood by; read it once for each.
    """

    def __init__(self, settings: Settings, register: Register) -> None:
        self.now = Terms.of(settings, register)

    def take(self, register: Register) -> None:
        """Go by another register from the next request on."""
        self.now = msgspec.structs.replace(self.now, register=register)


def plain(said: str) -> str:
    """Write words without case, punctuation and doubled blanks, so that they can be compared.

    >>> plain("  “Don’t   CALL me!” ")
    'dont call me'
    """
    folded = unicodedata.normalize("NFKC", said).casefold()
    letters = ("" if sign in "'’‘`" else sign if unicodedata.category(sign)[0] in "LNM" else " " for sign in folded)
    return " ".join("".join(letters).split())


def says(said: str, phrase: str) -> bool:
    """Tell whether plain words contain a plain phrase as whole words."""
    return f" {phrase} " in f" {said} "
