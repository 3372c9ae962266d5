"""A person asks not to be called, or to be called again: the records of `optouts`."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from schemas.wire import Versioned


class OptOutSource(StrEnum):
    """The signal an opt-out was read from."""

    STOP_WORD = "stop_word"
    OPT_OUT_TYPE = "opt_out_type"
    ERROR_21610 = "error_21610"
    DTMF = "dtmf"
    SPEECH = "speech"
    DISPOSITION = "disposition"
    API = "api"
    DO_NOT_CALL_LIST = "do_not_call_list"
    """A list of people not to be called, imported as a whole."""


class Channel(StrEnum):
    """Where the signal was given; opting back in to messages does not allow calls again."""

    VOICE = "voice"
    MESSAGING = "messaging"


class OptOut(Versioned, frozen=True, kw_only=True):
    """One signal of one person.

    Attributes:
        contact: the person, as E.164 where Twilio gave a number (a channel prefix such as "whatsapp:" is taken off).
        opted_out: False when the person opts back in, or is taken off a list.
        source: the signal.
        channel: where it was given.
        at: when the gateway had it, in milliseconds since the epoch; of a list, the first moment of its day in UTC.
        number: the company's number it was said to; None if unknown.
        campaign: the campaign of the call or message; None if unknown.
        account_sid: the account that received it; empty when the API did.
        sid: CallSid or MessageSid; of a list, "LIST:CONTACT"; None for the API.
        said: the raw signal: the word, the digits, the speech, the error, the list's name.
        endpoint: the path it came to.
    """

    VERSION: ClassVar[int] = 1

    contact: str
    opted_out: bool
    source: OptOutSource
    channel: Channel
    at: int
    number: str | None = None
    campaign: str | None = None
    account_sid: str = ""
    sid: str | None = None
    said: str = ""
    endpoint: str = ""
