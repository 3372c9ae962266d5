from __future__ import annotations

from schemas.log import Record
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.settings import Settings
from schemas.suppression import is_overtaken, read_cause
from schemas.topics import OPTOUTS, SUPPRESSIONS
from streams.agents.contacts import ContactsStage


def test_a_verdict_said_again_is_told_from_the_one_that_followed() -> None:
    """Each verdict and each end of one names the opt-out that caused it, so that who reads knows which is the later."""

    def signal(offset: int, *, opted_out: bool) -> Record:
        out = OptOut(
            contact="+12025550123",
            opted_out=opted_out,
            source=OptOutSource.STOP_WORD,
            channel=Channel.MESSAGING,
            at=offset,
            endpoint="/twilio/messaging",
        )
        return Record(OPTOUTS.name, 0, offset, 1_000 * offset, out.contact.encode(), out.encode())

    signals = [signal(1, opted_out=True), signal(2, opted_out=False)]
    emitted = ContactsStage(Settings(), {}).process(signals).emissions
    stop, start = (record for record in emitted if record.topic == SUPPRESSIONS.name)
    assert stop.value is not None
    assert start.value is None
    assert is_overtaken(read_cause(stop.headers), read_cause(start.headers))
    assert not is_overtaken(read_cause(start.headers), read_cause(stop.headers))
