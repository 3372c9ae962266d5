from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.rules import OptOutRule
from schemas.suppression import Suppression
from streams.detectors import NOTHING, ContactOptOut, Lifted

PERSON = "+12025550199"


def signal(at: int, channel: Channel = Channel.MESSAGING, *, opted_out: bool = True) -> OptOut:
    """One signal of the person."""
    return OptOut(
        contact=PERSON, opted_out=opted_out, source=OptOutSource.STOP_WORD, channel=channel, at=at, said="STOP"
    )


def test_first_opt_out_fires_and_suppresses_for_good() -> None:
    """The first signal gives one alert and one suppression without an end, explained by it."""
    alert, suppression = ContactOptOut(OptOutRule(), PERSON).update(signal(5))
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert (alert.state, alert.sequence, alert.at, alert.since) == (AlertState.FIRING, 1, 5, 5)
    assert (suppression.until, suppression.alert_id, suppression.at) == (None, alert.alert_id, 5)
    assert alert.evidence["said"] == "STOP"


def test_further_opt_outs_are_only_counted() -> None:
    """While opted out nothing more is told, on whatever channel."""
    contact = ContactOptOut(OptOutRule(), PERSON)
    contact.update(signal(5))
    assert contact.update(signal(6)) == []
    assert contact.update(signal(7, Channel.VOICE)) == []
    assert contact.describe()["opt_outs"] == 3
    assert contact.describe()["channels"] == ["messaging", "voice"]


def test_opting_in_takes_off_messages_only() -> None:
    """An opt-in lifts nothing while the person also opted out by voice."""
    contact = ContactOptOut(OptOutRule(), PERSON)
    contact.update(signal(5, Channel.VOICE))
    contact.update(signal(6))
    assert contact.update(signal(7, opted_out=False)) == []
    assert contact.update(signal(8, Channel.VOICE, opted_out=False)) == []
    assert contact.describe()["state"] == "firing"


def test_last_channel_off_resolves_and_lifts() -> None:
    """When no channel is left the alert is resolved, the suppression lifted, and a new opt-out is a new run."""
    contact = ContactOptOut(OptOutRule(), PERSON)
    fired = contact.update(signal(5))[0]
    resolved, lifted = contact.update(signal(9, opted_out=False))
    assert isinstance(fired, Alert)
    assert isinstance(resolved, Alert)
    assert (resolved.state, resolved.sequence, resolved.since) == (AlertState.RESOLVED, 2, 5)
    assert resolved.alert_id == fired.alert_id
    assert lifted == Lifted(Subject(SubjectKind.CONTACT, PERSON), "opt_out")
    again = contact.update(signal(11))[0]
    assert isinstance(again, Alert)
    assert again.alert_id != fired.alert_id


def test_a_rule_that_is_off_says_nothing() -> None:
    """A disabled rule neither fires nor suppresses, and says that it is off."""
    contact = ContactOptOut(OptOutRule(enabled=False), PERSON)
    assert contact.update(signal(5)) == []
    assert contact.describe()["state"] == "off"
    assert NOTHING == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(list(Channel))), max_size=12), st.integers(0, 12))
def test_bytes_keep_everything(signals: list[tuple[bool, Channel]], cut: int) -> None:
    """A state that went through its bytes goes on as if it had not."""
    kept, stored = ContactOptOut(OptOutRule(), PERSON), ContactOptOut(OptOutRule(), PERSON)
    for at, (opted_out, channel) in enumerate(signals):
        if at == cut:
            stored = ContactOptOut.from_bytes(stored.to_bytes(), OptOutRule(), PERSON)
        assert kept.update(signal(at, channel, opted_out=opted_out)) == stored.update(
            signal(at, channel, opted_out=opted_out)
        )
    assert kept.to_bytes() == stored.to_bytes()


def listed(name: str, at: int = 5, *, opted_out: bool = True) -> OptOut:
    """The person on a do-not-call list."""
    return OptOut(
        contact=PERSON,
        opted_out=opted_out,
        source=OptOutSource.DO_NOT_CALL_LIST,
        channel=Channel.VOICE,
        at=at,
        sid=f"{name}:{PERSON}",
        said=name,
    )


def test_a_list_suppresses_without_an_alert() -> None:
    """Somebody on a list is suppressed for good by one verdict that names list and date, however often it comes."""
    contact = ContactOptOut(OptOutRule(), PERSON)
    [suppression] = contact.update(listed("national", at=86_400_000))
    assert isinstance(suppression, Suppression)
    assert (suppression.until, suppression.alert_id, suppression.scope) == (None, "", "do_not_call_list")
    assert (suppression.evidence["list"], suppression.evidence["listed_at"]) == ("national", "1970-01-02T00:00:00.000Z")
    assert contact.update(listed("national", at=86_400_000)) == []
    assert contact.update(listed("our own", at=9)) == []
    assert contact.describe()["lists"] == {
        "national": "1970-01-02T00:00:00.000Z",
        "our own": "1970-01-01T00:00:00.009Z",
    }
    assert contact.describe()["state"] == "ok"


def test_a_stop_of_somebody_on_a_list_still_fires() -> None:
    """The person's own opt-out has its alert and its suppression, and taking it back leaves the list's in place."""
    contact = ContactOptOut(OptOutRule(), PERSON)
    contact.update(listed("national"))
    alert, suppression = contact.update(signal(7))
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert suppression.scope == ""
    resolved, lifted = contact.update(signal(8, opted_out=False))
    assert isinstance(resolved, Alert)
    assert lifted == Lifted(Subject(SubjectKind.CONTACT, PERSON), "opt_out")
    assert contact.describe()["lists"] != {}


def test_only_leaving_every_list_lifts_its_suppression() -> None:
    """A list that takes the person off lifts the verdict once no other list has them."""
    contact = ContactOptOut(OptOutRule(), PERSON)
    contact.update(listed("national"))
    contact.update(listed("our own"))
    assert contact.update(listed("national", opted_out=False)) == []
    assert contact.update(listed("our own", opted_out=False)) == [
        Lifted(Subject(SubjectKind.CONTACT, PERSON), "opt_out", "do_not_call_list")
    ]
    assert contact.update(listed("our own", opted_out=False)) == []
    assert not contact.is_untouched or contact.describe()["lists"] == {}


def test_bytes_of_a_state_without_lists_are_read() -> None:
    """What was kept before there were lists is taken as it is, with none."""
    before = bytes((1,)) + msgspec.msgpack.encode([["voice"], 1, 1, 5, 1, 0, ["CA1:1"]])
    contact = ContactOptOut.from_bytes(before, OptOutRule(), PERSON)
    assert contact.describe()["state"] == "firing"
    assert contact.describe()["lists"] == {}
