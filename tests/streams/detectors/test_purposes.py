from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.times import DAY
from streams.detectors.purposes import CAMPAIGNS_KEPT, PURPOSES_KEPT, Purpose, evidence_of, note


def summary(calls: list[tuple[str, int]]) -> list[tuple[str, int, int, int, list[int]]]:
    """What is known of the purposes after these calls, whatever was called for last."""
    known: list[Purpose] = []
    for name, at in calls:
        note(known, name, "spring-sale", at, 30 * DAY, 3)
    return sorted((each.name, each.calls, each.first, each.last, each.times) for each in known)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 120_000)), max_size=20).flatmap(
        lambda calls: st.tuples(st.just(calls), st.permutations(calls))
    ),
)
def test_the_order_within_the_lateness_changes_nothing(
    calls: tuple[list[tuple[str, int]], list[tuple[str, int]]],
) -> None:
    """Calls of two minutes leave the same counts, first, last and latest times in whatever order they come."""
    assert summary(calls[0]) == summary(calls[1])


def test_a_purpose_silent_for_the_span_begins_anew() -> None:
    """Neither its own old calls nor those of others outlast the span."""
    known: list[Purpose] = []
    assert not note(known, "sales", "spring-sale", 0, DAY, 3)
    assert not note(known, "survey", "autumn", 1, DAY, 3)
    assert note(known, "survey", "autumn", 1 + DAY, DAY, 3)
    assert [(each.name, each.calls, each.first) for each in known] == [("survey", 1, 1 + DAY)]


def test_what_is_kept_is_bounded() -> None:
    """The purposes called for last are kept, and of each some campaigns."""
    known: list[Purpose] = []
    for index in range(100):
        note(known, f"purpose {index % 7}", f"campaign-{index}", index, DAY, 3)
    assert [each.name for each in known] == [f"purpose {index % 7}" for index in (99, 98, 97, 96)]
    assert len(known) == PURPOSES_KEPT
    assert all(len(each.campaigns) <= CAMPAIGNS_KEPT for each in known)


def test_evidence_adds_up_campaigns_of_several_purposes() -> None:
    """A campaign whose purpose was changed in the register is told once, with all its calls."""
    known: list[Purpose] = []
    for at, name in enumerate(("sales", "survey", "survey")):
        note(known, name, "spring-sale", at, DAY, 3)
    evidence = evidence_of(known)
    assert evidence["campaigns"] == {"spring-sale": 3}
    assert evidence["calls"] == {"survey": 2, "sales": 1}
    assert evidence["last_call"] == {"survey": "1970-01-01T00:00:00.002Z", "sales": "1970-01-01T00:00:00.000Z"}
