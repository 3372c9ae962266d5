"""Laws that hold for every detector; a new one is found by looking into the package, and has to keep them too."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streams.detectors
from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact, CallStatus, Contribution, Direction, Disposition, FactKind, Origin
from schemas.registration import Consent, ContactDetails, NumberRegistration
from schemas.rules import Rules
from schemas.suppression import Suppression
from schemas.times import DAY, HOUR, MINUTE, from_iso
from streams.detectors.answer_states import RULE as ANSWER_RATE_COLLAPSE
from streams.detectors.detector import Detector
from streams.detectors.finding import Finding, Lifted
from streams.detectors.opt_out import RULE as OPT_OUT
from streams.detectors.share_rule import ShareRule
from streams.detectors.volume_alerts import RULE as VOLUME_SPIKE

PAGES = Path(__file__).resolve().parents[3] / "docs" / "rules"
START = from_iso("2026-11-02T15:00:00Z")
AnyDetector = type[Detector[Any, Any]]

# These three take other things than facts of one subject, and have tests of the same laws beside their own.
WITH_TESTS_OF_THEIR_OWN = {ANSWER_RATE_COLLAPSE, OPT_OUT, VOLUME_SPIKE}


def classes() -> Iterator[type]:
    """Every concrete class of the package's modules."""
    for module in pkgutil.iter_modules(streams.detectors.__path__):
        loaded = import_module(f"streams.detectors.{module.name}")
        for found in vars(loaded).values():
            if inspect.isclass(found) and found.__module__ == loaded.__name__ and not inspect.isabstract(found):
                yield found


DETECTORS: list[AnyDetector] = [found for found in classes() if issubclass(found, Detector)]
SHARE_RULES = [found for found in classes() if issubclass(found, ShareRule)]
CASES = [
    pytest.param(detector, kind, id=f"{detector.__name__}-{kind.value}")
    for detector in DETECTORS
    for kind in sorted(detector.SUBJECTS)
]

VALUES = {
    SubjectKind.NUMBER: "+12025550100",
    SubjectKind.CAMPAIGN: "spring-sale",
    SubjectKind.CONTACT: "+14155550123",
    SubjectKind.ACCOUNT: "AC1",
}

_dispositions = st.sampled_from([None, *Disposition])
_registrations = st.none() | st.builds(
    NumberRegistration,
    registered=st.booleans(),
    purpose=st.sampled_from([None, "telemarketing", "debt_collection"]),
    since=st.sampled_from([None, START - 90 * DAY, START - DAY]),
    cnam=st.sampled_from([None, "ACME"]),
    trust_hub=st.sampled_from([None, "draft", "twilio-approved"]),
    campaign_since=st.sampled_from([None, START - DAY]),
)
_details = st.none() | st.builds(
    ContactDetails,
    time_zone=st.sampled_from([None, "America/New_York", "Pacific/Honolulu"]),
    state=st.sampled_from([None, "FL", "CA"]),
    consent=st.sampled_from([None, *Consent]),
)


@st.composite
def facts(draw: st.DrawFn, kind: SubjectKind) -> list[CallFact]:
    """Facts of one subject, in the order of their log: times go back by less than two minutes."""
    steps = draw(st.lists(st.sampled_from([1_000, MINUTE, HOUR, 5 * HOUR, DAY, 9 * DAY]), min_size=1, max_size=60))
    told: list[CallFact] = []
    at = START
    for place, step in enumerate(steps):
        at += step
        shown = at - draw(st.sampled_from([0, 0, MINUTE]))
        what = draw(st.sampled_from([kind for kind in FactKind if kind is not FactKind.OPTED_OUT]))
        disposition = None if what in {FactKind.PLACED, FactKind.QUIET} else draw(_dispositions.filter(bool))
        talk = draw(st.sampled_from([None, 0, 3, 60]))
        contribution = Contribution(
            shown - MINUTE,
            None if disposition is None else shown,
            disposition,
            talk,
            draw(st.sampled_from([None, 4, 20, 40])),
            draw(st.sampled_from([None, True, False])),
            draw(st.sampled_from([None, True, False])),
        )
        told.append(
            CallFact(
                fact=what,
                revision=0,
                origin=Origin(0, place, 0),
                at=shown,
                call_sid=f"CA{place}",
                account_sid="AC1",
                number=VALUES[kind] if kind is SubjectKind.NUMBER else draw(st.sampled_from(_NUMBERS)),
                contact=VALUES[kind] if kind is SubjectKind.CONTACT else draw(st.sampled_from(_CONTACTS)),
                campaign=VALUES[kind] if kind is SubjectKind.CAMPAIGN else draw(st.sampled_from(["spring", "autumn"])),
                direction=Direction.OUTBOUND_API,
                counted=True,
                before=None if what is FactKind.PLACED else Contribution(shown - MINUTE),
                after=contribution,
                status=CallStatus.COMPLETED,
                sip_code=draw(st.sampled_from([None, 200, 404, 487, 603])),
                stir_status=draw(st.sampled_from([None, "A", "B", "C"])),
                registration=draw(_registrations),
                contact_details=draw(_details),
                missing_callbacks=draw(st.sampled_from([None, 1])),
            )
        )
    return told


_NUMBERS = [f"+1202555010{last}" for last in range(5)]
_CONTACTS = ["+12025550199", "+14155550123", "+18005550100", "+442071838750"]


def play(detector: Detector[Any, Any], told: Sequence[CallFact]) -> list[Finding]:
    """Show a detector the facts that it wants to see."""
    return [found for fact in told if fact.fact in detector.FACTS for found in detector.update(fact)]


def make(detector: AnyDetector, kind: SubjectKind) -> Detector[Any, Any]:
    """A detector that knows nothing yet, at its default settings."""
    return detector(getattr(Rules(), detector.RULE), Subject(kind, VALUES[kind]))


def test_every_rule_has_a_detector_and_every_detector_a_rule() -> None:
    """The settings name the rules that the package has, no more and no fewer."""
    found = {detector.RULE for detector in DETECTORS} | {rule.RULE for rule in SHARE_RULES}
    assert found | WITH_TESTS_OF_THEIR_OWN == set(Rules.model_fields)
    assert not found & WITH_TESTS_OF_THEIR_OWN


@pytest.mark.parametrize("rule", sorted(Rules.model_fields))
def test_every_rule_has_a_page(rule: str) -> None:
    """The page says why the rule matters, what it suppresses, what its settings are and what to do."""
    text = (PAGES / f"{rule}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {rule}\n")
    for heading in ("## Why it matters", "## What it suppresses", "## Settings", "## When it fires"):
        assert heading in text, heading
    assert "<!-- defaults -->" in text


@pytest.mark.parametrize(("detector", "kind"), CASES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_bytes_in_between_change_nothing(detector: AnyDetector, kind: SubjectKind, data: st.DataObject) -> None:
    """A detector that is packed and read after every fact says and holds what an untouched one does."""
    told = data.draw(facts(kind))
    straight, packed = make(detector, kind), make(detector, kind)
    for fact in told:
        if fact.fact not in detector.FACTS:
            continue
        assert straight.update(fact) == packed.update(fact)
        packed = detector.from_bytes(packed.to_bytes(), packed.settings, packed.subject)
        assert packed.to_bytes() == straight.to_bytes()
        assert packed.describe(fact.at) == straight.describe(fact.at)


@pytest.mark.parametrize(("detector", "kind"), CASES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_alerts_live_one_after_the_other(detector: AnyDetector, kind: SubjectKind, data: st.DataObject) -> None:
    """Each run fires first and resolves last, in numbered steps, with reasons; suppressions name their alert."""
    made = make(detector, kind)
    found = play(made, data.draw(facts(kind)))
    alerts = [one for one in found if isinstance(one, Alert)]
    for _, run in groupby(alerts, key=lambda alert: alert.alert_id):
        steps = list(run)
        assert [step.sequence for step in steps] == list(range(1, len(steps) + 1))
        assert all(step.state is not AlertState.RESOLVED for step in steps[:-1])
    for alert in alerts:
        assert (alert.rule, alert.subject) == (detector.RULE, made.subject)
        assert alert.since <= alert.at or detector.RULE == "missing_callbacks"
        assert alert.evidence["source"]
        assert alert.evidence["what_to_do"]
        assert alert.message.endswith(".")
    runs = {alert.alert_id for alert in alerts}
    assert len(runs) == made.runs
    for one in found:
        if isinstance(one, Suppression):
            assert one.alert_id in runs
            assert one.subject == made.subject
        elif isinstance(one, Lifted):
            assert (one.subject, one.rule) == (made.subject, detector.RULE)


@pytest.mark.parametrize(("detector", "kind"), CASES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_fires_below_the_stated_least(detector: AnyDetector, kind: SubjectKind, data: st.DataObject) -> None:
    """At its default settings a detector is silent until it has seen as many facts as it states."""
    shown = [fact for fact in data.draw(facts(kind)) if fact.fact in detector.FACTS]
    assert play(make(detector, kind), shown[: detector.LEAST - 1]) == []


@pytest.mark.parametrize(("detector", "kind"), CASES)
def test_silence_in_nothing_out(detector: AnyDetector, kind: SubjectKind) -> None:
    """A detector that saw nothing says so, keeps almost nothing, and has never fired."""
    made = make(detector, kind)
    assert made.runs == 0
    assert made.describe(START)["state"] in {"no_data", "learning", "ok"}
    assert len(made.to_bytes()) < 1_500
    assert detector.LEAST >= 1


@pytest.mark.parametrize(("detector", "kind"), CASES)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_rule_that_is_off_says_nothing(detector: AnyDetector, kind: SubjectKind, data: st.DataObject) -> None:
    """Switched off, a detector finds nothing, and says that it is off."""
    rule = getattr(Rules(), detector.RULE).model_copy(update={"enabled": False})
    made = detector(rule, Subject(kind, VALUES[kind]))
    assert play(made, data.draw(facts(kind))) == []
    assert made.describe(START)["state"] == "off"


@pytest.mark.parametrize(("detector", "kind"), CASES)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_states_stay_small(detector: AnyDetector, kind: SubjectKind, data: st.DataObject) -> None:
    """However long a subject is watched, what is kept of it stays within some kilobytes."""
    told = data.draw(facts(kind))
    made = make(detector, kind)
    for again in range(40):
        play(made, [_later(fact, again * 3 * HOUR) for fact in told])
    assert len(made.to_bytes()) < 6_000


def _later(fact: CallFact, by: int) -> CallFact:
    return msgspec.structs.replace(
        fact, at=fact.at + by, after=msgspec.structs.replace(fact.after, attempted_at=fact.after.attempted_at + by)
    )
