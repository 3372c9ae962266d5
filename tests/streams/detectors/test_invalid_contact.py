from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact, Disposition
from schemas.rule_settings.shares import InvalidNumbers as Settings
from schemas.suppression import Suppression
from schemas.times import HOUR, from_iso
from streams.detectors.finding import Lifted
from streams.detectors.invalid_contact import InvalidContact
from tests.streams import facts

CONTACT = "+12125550123"
START = from_iso("2026-11-02T15:00:00Z")
EXISTS = [Disposition.HUMAN, Disposition.MACHINE, Disposition.ANSWERED, Disposition.BUSY, Disposition.NO_ANSWER]
SAYS_NOTHING = [
    Disposition.FAILED,
    Disposition.CANCELED,
    Disposition.BLOCKED,
    Disposition.NOT_PLACED,
    Disposition.UNFINISHED,
]


def ended(at: int, how: Disposition) -> CallFact:
    """The end of a call to the contact."""
    sip_code = 404 if how is Disposition.INVALID else None
    return facts.ended(at, how, attempted_at=at - 1_000, contact=CONTACT, sip_code=sip_code)


def watch(**given_settings: Any) -> InvalidContact:
    """The rule on the contact."""
    return InvalidContact(Settings(**given_settings), Subject(SubjectKind.CONTACT, CONTACT))


def test_two_invalid_calls_in_a_row_suppress_for_good() -> None:
    """The second fires and suppresses without an end; further ones say nothing."""
    invalid = watch()
    assert invalid.update(ended(START, Disposition.INVALID)) == []
    alert, suppression = invalid.update(ended(START + HOUR, Disposition.INVALID))
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert (alert.rule, alert.since, suppression.until) == ("invalid_numbers", START, None)
    assert alert.evidence["sip_code"] == 404
    assert invalid.update(ended(START + 2 * HOUR, Disposition.INVALID)) == []
    assert invalid.describe(START)["invalid_in_a_row"] == 3


@pytest.mark.parametrize("how", EXISTS)
def test_a_call_that_reached_the_number_resolves_and_lifts(how: Disposition) -> None:
    """Answered, busy or rung out: the number exists, and the count begins anew."""
    invalid = watch()
    for place in range(2):
        invalid.update(ended(START + place * HOUR, Disposition.INVALID))
    resolved, lifted = invalid.update(ended(START + 3 * HOUR, how))
    assert isinstance(resolved, Alert)
    assert resolved.state is AlertState.RESOLVED
    assert lifted == Lifted(invalid.subject, "invalid_numbers")
    assert invalid.update(ended(START + 4 * HOUR, Disposition.INVALID)) == []


@pytest.mark.parametrize("how", SAYS_NOTHING)
def test_other_ends_say_nothing_of_the_number(how: Disposition) -> None:
    """A call that failed, was canceled or blocked neither counts nor breaks the row."""
    invalid = watch()
    assert invalid.update(ended(START, Disposition.INVALID)) == []
    assert invalid.update(ended(START + 1_000, how)) == []
    assert invalid.update(ended(START + 2_000, Disposition.INVALID)) != []
    assert invalid.update(ended(START + 3_000, how)) == []


def test_settings_decide() -> None:
    """The count and the suppression are settings; off, nothing is counted."""
    invalid = watch(contact_calls=1, suppress_contacts=False)
    [alert] = invalid.update(ended(START, Disposition.INVALID))
    assert isinstance(alert, Alert)
    [resolved] = invalid.update(ended(START + 1, Disposition.HUMAN))
    assert isinstance(resolved, Alert)
    off = watch(enabled=False)
    assert [off.update(ended(START + place, Disposition.INVALID)) for place in range(3)] == [[]] * 3
    assert off.describe(START)["state"] == "off"


@settings(deadline=None, max_examples=80)
@given(st.lists(st.sampled_from(list(Disposition)), max_size=30), st.integers(1, 4), st.integers(0, 30))
def test_it_fires_while_the_row_is_long_enough(ends: list[Disposition], calls: int, cut: int) -> None:
    """Against the list of all ends: it fires from the call that makes the row long enough until one that reached."""
    invalid = watch(contact_calls=calls)
    row = 0
    for place, how in enumerate(ends):
        if place == cut:
            invalid = InvalidContact.from_bytes(invalid.to_bytes(), invalid.settings, invalid.subject)
        row = row + 1 if how is Disposition.INVALID else 0 if how in EXISTS else row
        invalid.update(ended(START + place * HOUR, how))
        assert invalid.state.episode.is_firing is (row >= calls)
        assert len(invalid.to_bytes()) < 80
