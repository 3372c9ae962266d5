"""What holds whatever comes: told once or counted, silenced never, no sooner than the interval, restarted anywhere."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind, alert_id
from schemas.alerting import Alerting
from schemas.silence import Matchers, Silence
from schemas.times import DAY, HOUR, SECOND
from sinks.alerts.router import Router
from sinks.alerts.states import Notification, NotificationKind, RouterState

START = 1_795_442_400_000
RULES = ("volume_spike", "short_calls", "missing_callbacks", "answer_rate_collapse")
SUBJECTS = (
    Subject(SubjectKind.NUMBER, "+1"),
    Subject(SubjectKind.NUMBER, "+2"),
    Subject(SubjectKind.NUMBER, "+3"),
    Subject(SubjectKind.CAMPAIGN, "c"),
    Subject(SubjectKind.ACCOUNT, "AC1"),
)
SETTINGS = Alerting(new_alerts_per_minute=2)
WAIT, INTERVAL = 30 * SECOND, 300 * SECOND

Move = tuple[int, str, int, int]
"""Seconds to wait, what happens, and to which rule and subject."""

# Short waits and waits past an interval, so that alerts come together and apart.
seconds = st.sampled_from([0, 0, 1, 20, 40, 200, 400, 4_000])
moves = st.lists(
    st.tuples(
        seconds,
        st.sampled_from(["fire", "fire", "fire", "inhibit", "resolve", "silence", "unsilence", "acknowledge"]),
        st.integers(0, len(RULES) - 1),
        st.integers(0, len(SUBJECTS) - 1),
    ),
    max_size=25,
)
plain_moves = st.lists(
    st.tuples(seconds, st.sampled_from(["fire", "fire", "resolve"]), st.just(0), st.integers(0, 2)), max_size=25
)


class Driver:
    """Plays moves to a router, looking every few seconds, as the detectors, a person and the clock would."""

    def __init__(self, *, restarted: bool = False, repeated: bool = False) -> None:
        self.router = Router(SETTINGS)
        self.restarted = restarted
        self.repeated = repeated
        self.now = START
        self.runs: Counter[tuple[int, int]] = Counter()
        self.last: dict[tuple[int, int], Alert] = {}
        self.fired: set[str] = set()
        self.told: list[Notification] = []

    def play(self, played: list[Move]) -> list[Notification]:
        """Play all, and wait until all is told."""
        for wait, what, rule, subject in played:
            self.wait(wait)
            self.move(what, rule, subject)
        self.wait(1_000)
        return self.told

    def wait(self, wait: int) -> None:
        """Let time pass, and look at every moment at which something is due."""
        end = self.now + wait * SECOND
        while (due := self.router.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.look()
        self.now = end
        self.look()

    def look(self) -> None:
        """Take what is due, over a restart if there is to be one."""
        if self.restarted:
            kept = msgspec.json.decode(msgspec.json.encode(self.router.state), type=RouterState)
            self.router = Router(SETTINGS, kept)
        self.told += self.router.due(self.now)

    def move(self, what: str, rule: int, subject: int) -> None:
        """Do one thing."""
        place = (rule, subject)
        if what in {"silence", "unsilence"}:
            ends_at = self.now if what == "unsilence" else self.now + HOUR
            self.silence(f"s{rule}", Matchers(rule=RULES[rule]), ends_at)
        elif what == "acknowledge":
            if place in self.last:
                self.silence(f"a{place}", Matchers(alert_id=self.last[place].alert_id), None)
        else:
            self.transition(
                place, AlertState(f"{what}d" if what == "resolve" else {"fire": "firing"}.get(what, "inhibited"))
            )

    def silence(self, name: str, matchers: Matchers, ends_at: int | None) -> None:
        """Say a silence as a person would."""
        self.router.take_silence(
            Silence(
                silence_id=name,
                matchers=matchers,
                starts_at=self.now,
                ends_at=ends_at,
                author="a",
                comment="c",
                created_at=self.now,
            )
        )

    def transition(self, place: tuple[int, int], state: AlertState) -> None:
        """Move an alert as its detector would: a resolved one begins a new run."""
        last = self.last.get(place)
        if last is None or last.state is AlertState.RESOLVED:
            if state is AlertState.RESOLVED:
                return
            self.runs[place] += 1
            sequence = 1
        else:
            sequence = last.sequence + 1
            if state is last.state:
                return
        rule, subject = RULES[place[0]], SUBJECTS[place[1]]
        alert = Alert(
            alert_id=alert_id(rule, subject, self.runs[place]),
            sequence=sequence,
            rule=rule,
            subject=subject,
            state=state,
            severity=Severity.WARNING,
            at=self.now,
            since=self.now,
            evidence={"campaign": "c", "account": "AC1"},
            message="m",
        )
        self.last[place] = alert
        self.fired.add(alert.alert_id)
        for _ in range(2 if self.repeated else 1):
            self.router.take(alert, self.now)


def new_ids(told: list[Notification]) -> Counter[str]:
    """How often each alert was told for the first time."""
    return Counter(alert.alert_id for notice in told for alert in notice.alerts if alert.new)


@given(moves)
@settings(max_examples=150, deadline=None)
def test_nothing_is_new_twice(played: list[Move]) -> None:
    """Whatever happens, an alert is told as new at most once, and its end at most once, after it was told."""
    told = Driver().play(played)
    assert set(new_ids(told).values()) <= {1}
    ends = Counter(alert.alert_id for notice in told for alert in notice.alerts if alert.ended_at is not None)
    assert set(ends.values()) <= {1}
    assert set(ends) <= set(new_ids(told))


@given(plain_moves)
@settings(max_examples=150, deadline=None)
def test_each_alert_is_told_once_or_counted(played: list[Move]) -> None:
    """Where nothing mutes, each alert is told exactly once or is one of an overflow that is told exactly once."""
    driver = Driver()
    told = driver.play(played)
    counted = sum(sum(notice.counts.values()) for notice in told if notice.kind is NotificationKind.OVERFLOW)
    assert len(new_ids(told)) + counted == len(driver.fired)


@given(moves)
@settings(max_examples=150, deadline=None)
def test_groups_keep_their_interval(played: list[Move]) -> None:
    """Between two notifications of a group lies at least the group's interval."""
    last: dict[str, int] = {}
    for notice in Driver().play(played):
        if notice.kind is NotificationKind.GROUP:
            assert notice.at - last.get(notice.group_key, notice.at - INTERVAL) >= INTERVAL
            last[notice.group_key] = notice.at


@given(moves)
@settings(max_examples=100, deadline=None)
def test_a_silenced_alert_is_never_told(played: list[Move]) -> None:
    """No alert of a rule that is silenced all the time is in any notification, nor counted in one."""
    driver = Driver()
    driver.router.take_silence(
        Silence(
            silence_id="all",
            matchers=Matchers(rule=RULES[0]),
            starts_at=0,
            ends_at=START + 30 * DAY,
            author="a",
            comment="c",
            created_at=0,
        )
    )
    for notice in driver.play(played):
        assert all(alert.labels["rule"] != RULES[0] for alert in notice.alerts)
        assert RULES[0] not in notice.counts


@given(moves)
@settings(max_examples=150, deadline=None)
def test_a_restart_anywhere_changes_nothing(played: list[Move]) -> None:
    """A router that goes on from the bytes of another at every moment tells the same, word for word."""
    assert Driver(restarted=True).play(played) == Driver().play(played)


@given(moves)
@settings(max_examples=100, deadline=None)
def test_transitions_that_come_again_say_nothing(played: list[Move]) -> None:
    """Each transition twice is as each once."""
    assert Driver(repeated=True).play(played) == Driver().play(played)


@given(st.integers(1, 60), st.integers(1, 200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_cap_holds_in_every_minute(make: SimpleNamespace, cap: int, alerts: int) -> None:
    """No more new alerts are told in a minute than the cap, however many groups there are."""
    router = Router(Alerting(new_alerts_per_minute=cap, group_by=["value"]))
    for number in range(alerts):
        router.take(make.alert(f"+{number}"), make.NOW + number * SECOND)
    told: Counter[int] = Counter()
    total = 0
    for now in range(make.NOW, make.NOW + 600 * SECOND, 5 * SECOND):
        for notice in router.due(now):
            told[now // 60_000] += sum(alert.new for alert in notice.alerts)
            total += sum(alert.new for alert in notice.alerts) + sum(notice.counts.values())
    assert max(told.values()) <= cap
    assert total == alerts


@pytest.mark.parametrize("kind", ["number", "campaign"])
def test_the_laws_are_not_empty(kind: str) -> None:
    """The moves that the laws are tried on do lead to notifications, ends and counts."""
    subject = 0 if kind == "number" else 3
    told = Driver().play([(0, "fire", 0, subject), (1, "fire", 1, 0), (0, "fire", 1, 1), (400, "resolve", 0, subject)])
    assert any(alert.ended_at is not None for notice in told for alert in notice.alerts)
    assert any(notice.kind is NotificationKind.OVERFLOW for notice in told)
