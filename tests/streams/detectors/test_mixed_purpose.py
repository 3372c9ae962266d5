from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.registration import NumberRegistration
from schemas.rule_settings.numbers import MixedPurpose as Settings
from schemas.times import DAY, HOUR, MINUTE
from streams.detectors.mixed_purpose import MixedPurpose
from tests.streams import facts

NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
START = 1_795_442_400_000
SPAN = 30 * DAY


def placed(at: int, purpose: str | None, campaign: str | None = None) -> CallFact:
    """One placed call of the number, for a campaign of this purpose."""
    return facts.placed(
        at,
        number=NUMBER.value,
        campaign=campaign or f"about-{purpose}",
        registration=NumberRegistration(registered=True, purpose=purpose),
    )


def run(rule: MixedPurpose, purposes: str, start: int = START, step: int = HOUR) -> list[tuple[int, Alert]]:
    """Show calls, one a letter (`-` is none of any purpose); give the alerts with the place of their call."""
    found: list[tuple[int, Alert]] = []
    for index, letter in enumerate(purposes):
        for finding in rule.update(placed(start + index * step, None if letter == "-" else letter)):
            assert isinstance(finding, Alert)
            found.append((index, finding))
    return found


def test_calls_for_two_purposes_in_turn_fire_and_say_why() -> None:
    """The rule fires at the call that makes three for each since the later purpose began, and names both."""
    ((place, alert),) = run(MixedPurpose(Settings(), NUMBER), "AAABABABA")
    assert place == 8
    assert (alert.state, alert.since) == (AlertState.FIRING, START + 3 * HOUR)
    assert alert.message == "Number +12025550100 calls for two purposes at once: A and B."
    assert alert.evidence["calls"] == {"A": 6, "B": 3}
    assert alert.evidence["campaigns"] == {"about-A": 6, "about-B": 3}
    assert alert.evidence["call_sid"] == f"CA{START + 8 * HOUR}"


def test_blocks_of_calls_are_mixed_once_the_old_purpose_is_back() -> None:
    """Mornings for one purpose and afternoons for another fire on the third call of the second morning."""
    ((place, _),) = run(MixedPurpose(Settings(), NUMBER), "AAAABBBBAAAABBBB")
    assert place == 10


def test_a_change_of_purpose_is_not_mixed() -> None:
    """A number that turns to another purpose for good is the matter of another rule."""
    assert run(MixedPurpose(Settings(), NUMBER), "A" * 50 + "B" * 50) == []


def test_a_misrouted_call_or_two_do_not_fire() -> None:
    """Fewer calls than the setting asks for are no second purpose, on either side of a change."""
    assert run(MixedPurpose(Settings(), NUMBER), "AAAAABAAAAAABAAAA") == []
    assert run(MixedPurpose(Settings(), NUMBER), "AAAAABBBBBBABBBBBABBBB") == []


def test_calls_without_a_purpose_are_no_evidence() -> None:
    """Campaigns whose purpose the register does not name stand for nothing."""
    rule = MixedPurpose(Settings(), NUMBER)
    assert run(rule, "-" * 40) == []
    assert rule.describe(START)["state"] == "no_data"
    assert run(rule, "A-A-A-A-A-A") == []
    assert rule.describe(START)["state"] == "ok"


def test_no_register_is_no_evidence() -> None:
    """Without a register nothing is known of purposes."""
    rule = MixedPurpose(Settings(), NUMBER)
    fact = CallFact.decode(placed(START, "A").encode())
    bare = CallFact(**{name: getattr(fact, name) for name in fact.__struct_fields__} | {"registration": None})
    assert rule.update(bare) == []
    assert rule.describe(START)["state"] == "no_data"


def test_spelling_makes_no_other_purpose() -> None:
    """Case and blanks around a purpose do not make it another one."""
    rule = MixedPurpose(Settings(), NUMBER)
    for index in range(30):
        assert rule.update(placed(START + index, "Survey" if index % 2 else " survey")) == []


def test_purposes_that_never_meet_in_a_window_do_not_fire() -> None:
    """Two purposes a whole window apart are two uses, one after the other and back again."""
    rule = MixedPurpose(Settings(), NUMBER)
    for turn in range(6):
        assert run(rule, "AAAA" if turn % 2 else "BBBB", START + turn * (SPAN + DAY)) == []


def test_a_stray_call_now_and_then_does_not_fire() -> None:
    """Calls for a second purpose that come too far apart for enough of them in one window are no second purpose."""
    assert run(MixedPurpose(Settings(), NUMBER), "AAAAAAAAAAAAAAAAAAAB" * 6, step=DAY) == []
    assert len(run(MixedPurpose(Settings(), NUMBER), "AAAAAAAAAAAAAB" * 6, step=DAY)) == 1


def test_it_resolves_when_one_purpose_is_gone_for_the_window() -> None:
    """The first call a whole window after the last one for the other purpose resolves, and a new mix is a new run."""
    rule = MixedPurpose(Settings(), NUMBER)
    assert len(run(rule, "ABABABAB")) == 1
    last = START + 7 * HOUR
    assert run(rule, "AAAA", last + SPAN - 4 * HOUR) == []
    ((place, resolved),) = run(rule, "AA", last + SPAN)
    assert (place, resolved.state, resolved.sequence) == (0, AlertState.RESOLVED, 2)
    assert resolved.evidence["purposes"] == ["A"]
    ((_, again),) = run(rule, "BABABAB", last + SPAN + DAY)
    assert (again.state, again.alert_id == resolved.alert_id) == (AlertState.FIRING, False)


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, the rule keeps nothing and says so."""
    rule = MixedPurpose(Settings(enabled=False), NUMBER)
    assert run(rule, "ABABABABAB") == []
    assert rule.describe(START)["state"] == "off"


def test_state_stays_small_whatever_is_called() -> None:
    """Hundreds of purposes and campaigns leave a state of less than a kilobyte."""
    rule = MixedPurpose(Settings(), NUMBER)
    for index in range(2_000):
        rule.update(placed(START + index * MINUTE, f"purpose {index % 40}", f"campaign-{index % 300}"))
    assert len(rule.to_bytes()) < 1_000


def expected(calls: list[tuple[str, int]], span: int, enough: int) -> list[tuple[int, AlertState]]:
    """What the rule must say, computed anew from all calls so far at each of them."""

    def stretch(so_far: list[tuple[str, int]], purpose: str) -> list[int]:
        """Times of a purpose's calls since it was last silent for the span."""
        newest = so_far[-1][1]
        kept: list[int] = []
        for at in reversed([at for name, at in so_far if name == purpose]):
            if (kept[-1] if kept else newest) - at >= span:
                break
            kept.append(at)
        return kept[::-1]

    said, firing = [], False
    for place in range(len(calls)):
        so_far = calls[: place + 1]
        times = {purpose: stretch(so_far, purpose) for purpose in "ABC"}

        def meet(one: list[int], other: list[int], floor: int) -> bool:
            since = max(one[0], other[0], floor) if one and other else 0
            return all(len([at for at in times if at >= since]) >= enough for times in (one, other))

        if firing:
            if not any(meet(one, other, 0) for one, other in combinations(times.values(), 2)):
                said.append((place, AlertState.RESOLVED))
                firing = False
            continue
        name, newest = calls[place]
        if any(meet(times[name], times[other], newest - span) for other in "ABC" if other != name):
            said.append((place, AlertState.FIRING))
            firing = True
    return said


@settings(deadline=None, max_examples=120)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from([1, 1, 1, 2, 5, 11])), max_size=60),
    st.integers(1, 3),
    st.integers(0, 60),
)
def test_it_says_what_a_plain_look_at_all_calls_says(drawn: list[tuple[str, int]], enough: int, cut: int) -> None:
    """Against a new look at all calls so far: the same transitions at the same calls, through bytes in mid-stream."""
    rules = Settings(window_days=10, calls=enough)
    rule = MixedPurpose(rules, NUMBER)
    day, calls = 0, []
    for purpose, gap in drawn:
        day += gap
        calls.append((purpose, START + day * DAY))
    found = []
    for place, (purpose, at) in enumerate(calls):
        if place == cut:
            stored = rule.to_bytes()
            rule = MixedPurpose.from_bytes(stored, rules, NUMBER)
            assert rule.to_bytes() == stored
        found += [(place, alert.state) for alert in rule.update(placed(at, purpose)) if isinstance(alert, Alert)]
    assert found == expected(calls, 10 * DAY, enough)
