"""Opt-outs: words in messages, error 21610, key presses and words on a call."""

from __future__ import annotations

from schemas.callback import Params
from schemas.dead_letter import DeadLetter
from schemas.opt_out import Channel, OptOut, OptOutSource
from streams.ingest.parameters import Reading
from streams.ingest.paths import Address
from streams.ingest.terms import Terms, plain, says
from streams.ingest.voice import parties

OPTED_OUT_ERROR = "21610"
"""Twilio's error for a message to somebody who has opted out."""

# An inbound message has SmsStatus=received; a delivery report has one of the others.
_RECEIVED = frozenset({"received", "receiving"})
_MESSAGE_FIELDS = ("MessageSid", "SmsSid", "SmsMessageSid", "Body", "OptOutType", "MessageStatus", "SmsStatus")


def understand_message(  # noqa: PLR0911 - one way out for each signal
    address: Address, params: Params, received_at: int, terms: Terms, raw: bytes
) -> list[OptOut | DeadLetter]:
    """Understand a message or the report of one: an opt-out, an opt-in, or nothing to keep."""
    reading = Reading(params)

    def set_aside(reason: str) -> list[OptOut | DeadLetter]:
        return [DeadLetter(source=address.endpoint.value, reason=reason, at=received_at, body=raw)]

    def signal(person: str, own: str, opted_out: bool, source: OptOutSource, said: str) -> list[OptOut | DeadLetter]:
        contact = reading.party(person)
        if contact is None:
            return set_aside(f"{person}: missing or unusable, so that nobody can be opted out ({source})")
        number = reading.party(own)
        return [
            OptOut(
                contact=contact,
                opted_out=opted_out,
                source=source,
                channel=Channel.MESSAGING,
                at=received_at,
                number=number,
                campaign=address.campaign or (terms.register.campaign_of(number) if number else None),
                account_sid=reading.short("AccountSid") or "",
                sid=reading.short("MessageSid") or reading.short("SmsSid"),
                said=said,
                endpoint=address.endpoint.value,
            )
        ]

    if reading.text("ErrorCode") == OPTED_OUT_ERROR:
        return signal("To", "From", True, OptOutSource.ERROR_21610, OPTED_OUT_ERROR)
    if not any(name in params for name in _MESSAGE_FIELDS):
        return set_aside("no message: none of " + ", ".join(_MESSAGE_FIELDS))
    status = reading.text("MessageStatus") or reading.text("SmsStatus")
    if status is not None and status.lower() not in _RECEIVED:
        return []
    opt_out_type = (reading.text("OptOutType") or "").upper()
    if opt_out_type in {"STOP", "START"}:
        return signal("From", "To", opt_out_type == "STOP", OptOutSource.OPT_OUT_TYPE, opt_out_type)
    body = reading.text("Body") or ""
    # Every stop word is short; a long message is no such word and not worth folding.
    words = plain(body) if len(body) <= 200 else ""  # noqa: PLR2004 - as above
    if words in terms.stop_words:
        return signal("From", "To", True, OptOutSource.STOP_WORD, body)
    if words in terms.start_words:
        return signal("From", "To", False, OptOutSource.STOP_WORD, body)
    return []


def opt_out_on_call(
    address: Address, params: Params, received_at: int, terms: Terms, raw: bytes
) -> OptOut | DeadLetter | None:
    """Give the opt-out that a gathered key press or sentence is; None if it is none.

    Whatever else the request carries: no field of another kind of request takes an opt-out back. A person who opted
    out and whose number is unknown goes to the dead letters: nobody may lose that.
    """
    reading = Reading(params)
    heard = _opt_out_heard(reading, terms)
    if heard is None:
        return None
    source, said = heard
    number, contact = parties(reading, reading.direction("Direction", reading.short("ParentCallSid")))
    if contact is None:
        return DeadLetter(
            source=address.endpoint.value,
            reason=f"Direction, From, To: do not say who opted out ({source})",
            at=received_at,
            body=raw,
        )
    return OptOut(
        contact=contact,
        opted_out=True,
        source=source,
        channel=Channel.VOICE,
        at=received_at,
        number=number,
        campaign=address.campaign or (terms.register.campaign_of(number) if number else None),
        account_sid=reading.short("AccountSid") or "",
        sid=reading.short("CallSid"),
        said=said,
        endpoint=address.endpoint.value,
    )


def _opt_out_heard(reading: Reading, terms: Terms) -> tuple[OptOutSource, str] | None:
    digits = reading.text("Digits")
    if digits is not None and digits in terms.opt_out_digits:
        return OptOutSource.DTMF, digits
    # What is stable of a sentence so far, and what may still change, are two halves of it.
    partial = " ".join(filter(None, (reading.text("StableSpeechResult"), reading.text("UnstableSpeechResult"))))
    for speech in (reading.text("SpeechResult"), partial):
        if speech and any(says(plain(speech), phrase) for phrase in terms.opt_out_phrases):
            return OptOutSource.SPEECH, speech
    return None
