"""Who is told what and when."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from schemas.alert import AlertState, Severity, SubjectKind
from schemas.alerting import Alerting
from schemas.times import HOUR, MINUTE, SECOND
from sinks.alerts.router import Router
from sinks.alerts.states import Notification, NotificationKind

CAMPAIGN, ACCOUNT, CONTACT = SubjectKind.CAMPAIGN, SubjectKind.ACCOUNT, SubjectKind.CONTACT


def told(notifications: list[Notification]) -> list[tuple[str, bool]]:
    """The subjects that are told for the first time or have ended, and whether each still fires."""
    return [
        (alert.labels["value"], alert.ended_at is None)
        for notification in notifications
        for alert in notification.alerts
        if alert.new or alert.ended_at is not None
    ]


def between(router: Router, start: int, end: int, step: int = SECOND) -> list[tuple[int, Notification]]:
    """All that is told when somebody looks every `step`, each with its time past the start."""
    return [(now - start, notification) for now in range(start, end + 1, step) for notification in router.due(now)]


def test_a_group_is_told_after_its_wait_and_then_at_intervals(make: SimpleNamespace) -> None:
    """Alerts of a rule and campaign are told together after 30 s, later ones with the next interval, then repeated."""
    router = Router(Alerting())
    for seconds, number in ((0, "+1"), (20, "+2"), (60, "+3")):
        router.take(make.alert(number), make.NOW + seconds * SECOND)
    router.take(make.alert("+4", campaign="renewals"), make.NOW)
    found = between(router, make.NOW, make.NOW + 5 * HOUR, 10 * SECOND)
    spring = [(at, notice) for at, notice in found if notice.labels["campaign"] == "spring-sale"]
    assert [at for at, _ in spring] == [30 * SECOND, 30 * SECOND + 4 * HOUR]
    assert told([spring[0][1]]) == [("+1", True), ("+2", True), ("+3", True)]
    assert spring[0][1].group_key == '{}:{campaign="spring-sale", rule="volume_spike"}'
    assert told([spring[1][1]]) == []
    assert len(spring[1][1].alerts) == 3


def test_what_comes_after_waits_for_the_interval(make: SimpleNamespace) -> None:
    """An alert that joins a told group is told with the group's next turn, together with those that fire already."""
    router = Router(Alerting())
    router.take(make.alert("+1"), make.NOW)
    assert told(router.due(make.NOW + 30 * SECOND)) == [("+1", True)]
    router.take(make.alert("+2"), make.NOW + 40 * SECOND)
    assert router.due(make.NOW + 329 * SECOND) == []
    (notice,) = router.due(make.NOW + 330 * SECOND)
    assert told([notice]) == [("+2", True)]
    assert [alert.labels["value"] for alert in notice.alerts] == ["+2", "+1"]


def test_a_resolution_is_told_once(make: SimpleNamespace) -> None:
    """Who was told that an alert fires is told once that it has resolved; the same transitions again say nothing."""
    router = Router(Alerting())
    fired = make.alert("+1")
    over = make.alert("+1", state=AlertState.RESOLVED, sequence=2, at=make.NOW + MINUTE)
    router.take(fired, make.NOW)
    router.due(make.NOW + 30 * SECOND)
    router.take(over, make.NOW + MINUTE)
    (notice,) = router.due(make.NOW + 330 * SECOND)
    assert (told([notice]), notice.firing) == ([("+1", False)], False)
    for again in (fired, over):
        router.take(again, make.NOW + 340 * SECOND)
    assert between(router, make.NOW + 340 * SECOND, make.NOW + 2 * HOUR, 30 * SECOND) == []
    assert router.state.groups == {}


def test_what_fires_and_resolves_before_its_group_is_due_is_told_as_resolved(make: SimpleNamespace) -> None:
    """A short alert, or one that came and went while the program was down, is not lost."""
    router = Router(Alerting())
    router.take(make.alert("+1"), make.NOW)
    router.take(make.alert("+1", state=AlertState.RESOLVED, sequence=2), make.NOW)
    (notice,) = router.due(make.NOW + 30 * SECOND)
    assert [(alert.new, alert.ended_at is None) for alert in notice.alerts] == [(True, False)]


def test_a_first_start_tells_what_still_fires(make: SimpleNamespace) -> None:
    """Of a log that is read from its beginning, what has resolved is not told, and what fires is told once, grouped."""
    router = Router(Alerting())
    for number in ("+1", "+2", "+3"):
        router.take(make.alert(number, at=0), make.NOW)
    router.take(make.alert("+2", state=AlertState.RESOLVED, sequence=2, at=1), make.NOW)
    router.take(make.alert("p", kind=CONTACT, rule="opt_out", severity=Severity.INFO), make.NOW)
    router.begin(make.NOW)
    found = between(router, make.NOW, make.NOW + 3 * HOUR, 30 * SECOND)
    assert told([notice for _, notice in found]) == [("+1", True), ("+3", True)]
    assert len(found) == 1


@pytest.mark.parametrize("matchers", [{"rule": "volume_spike"}, {"kind": "number", "value": "+1"}, {"campaign": "c"}])
def test_a_silence_mutes_until_it_ends(make: SimpleNamespace, matchers: dict[str, str]) -> None:
    """A silenced alert is not told, nor its end; one that still fires when the silence ends is told then."""
    router = Router(Alerting())
    router.take_silence(make.silence(**matchers))
    for run, number in ((1, "+1"), (2, "+1")):
        router.take(make.alert(number, run=run, campaign="c"), make.NOW)
    router.take(make.alert("+9", rule="other", campaign="d"), make.NOW)
    assert told(router.due(make.NOW + 30 * SECOND)) == [("+9", True)]
    router.take(make.alert("+1", run=2, campaign="c", state=AlertState.RESOLVED, sequence=2), make.NOW)
    assert told([notice for _, notice in between(router, make.NOW, make.NOW + HOUR - 1, MINUTE)]) == []
    assert told([notice for _, notice in between(router, make.NOW + HOUR, make.NOW + 2 * HOUR, MINUTE)]) == [
        ("+1", True)
    ]


def test_a_silence_may_be_ended_early(make: SimpleNamespace) -> None:
    """The last record of a silence holds: once somebody has ended it, what fires is told."""
    router = Router(Alerting())
    router.take_silence(make.silence(rule="volume_spike"))
    router.take(make.alert("+1"), make.NOW)
    assert router.due(make.NOW + 30 * SECOND) == []
    router.take_silence(make.silence(rule="volume_spike", ends_at=make.NOW + 40 * SECOND))
    assert told(router.due(make.NOW + 330 * SECOND)) == [("+1", True)]


def test_an_acknowledged_alert_is_not_repeated_and_its_end_is_told(make: SimpleNamespace) -> None:
    """An acknowledged alert is told once more: when it has resolved, with which the acknowledgement ends."""
    router = Router(Alerting())
    alert = make.alert("+1")
    router.take(alert, make.NOW)
    assert told(router.due(make.NOW + 30 * SECOND)) == [("+1", True)]
    router.take_silence(make.silence("ack", ends_at=None, alert_id=alert.alert_id))
    assert between(router, make.NOW + 30 * SECOND, make.NOW + 13 * HOUR, MINUTE) == []
    router.take(make.alert("+1", state=AlertState.RESOLVED, sequence=2), make.NOW + 13 * HOUR)
    assert told([one for _, one in between(router, make.NOW + 13 * HOUR, make.NOW + 14 * HOUR, MINUTE)]) == [
        ("+1", False)
    ]
    assert router.state.silences["ack"].ends_at == make.NOW + 13 * HOUR


def test_an_acknowledged_alert_that_nobody_was_told_of_stays_untold(make: SimpleNamespace) -> None:
    """Who acknowledged an alert before it was told hears neither of it nor of its end."""
    router = Router(Alerting())
    alert = make.alert("+1")
    router.take(alert, make.NOW)
    router.take_silence(make.silence("ack", ends_at=None, alert_id=alert.alert_id))
    router.take(make.alert("+1", state=AlertState.RESOLVED, sequence=2), make.NOW)
    assert between(router, make.NOW, make.NOW + HOUR, MINUTE) == []


def test_a_campaigns_alert_inhibits_its_numbers(make: SimpleNamespace) -> None:
    """While a campaign's alert fires, its numbers' of the rule are not told; then those that still fire are."""
    router = Router(Alerting())
    router.take(make.alert("+1"), make.NOW)
    router.take(make.alert("+2", campaign="renewals"), make.NOW)
    router.take(make.alert("+3", rule="short_calls"), make.NOW)
    router.take(make.alert("spring-sale", kind=CAMPAIGN), make.NOW)
    found = told(router.due(make.NOW + 30 * SECOND))
    assert sorted(found) == [("+2", True), ("+3", True), ("spring-sale", True)]
    router.take(make.alert("spring-sale", kind=CAMPAIGN, state=AlertState.RESOLVED, sequence=2), make.NOW)
    assert sorted(told(router.due(make.NOW + 330 * SECOND))) == [("+1", True), ("spring-sale", False)]


def test_an_accounts_alert_inhibits_its_campaigns_and_numbers(make: SimpleNamespace) -> None:
    """An account's alert stands above campaigns and numbers that name it, of the same rule."""
    router = Router(Alerting())
    router.take(make.alert("+1", account="AC1"), make.NOW)
    router.take(make.alert("spring-sale", kind=CAMPAIGN, account="AC1"), make.NOW)
    router.take(make.alert("+2", account="AC2", campaign="renewals"), make.NOW)
    router.take(make.alert("AC1", kind=ACCOUNT, campaign=None), make.NOW)
    assert sorted(told(router.due(make.NOW + 30 * SECOND))) == [("+2", True), ("AC1", True)]


def test_an_accounts_missing_callbacks_mute_no_other_rule(make: SimpleNamespace) -> None:
    """A test account that fell silent for good must not keep a collapse of another account's numbers from people."""
    router = Router(Alerting())
    router.take(make.alert("+1", rule="answer_rate_collapse"), make.NOW)
    router.take(make.alert("c", rule="answer_rate_collapse", kind=CAMPAIGN), make.NOW)
    router.take(make.alert("+1", rule="no_answer_streak"), make.NOW)
    router.take(make.alert("+1", rule="short_calls"), make.NOW)
    router.take(make.alert("AC1", rule="missing_callbacks", kind=ACCOUNT, campaign=None), make.NOW)
    found = told(router.due(make.NOW + 30 * SECOND))
    assert {value for value, _ in found} == {"+1", "c", "AC1"}


def test_a_detectors_inhibited_counts_as_inhibited(make: SimpleNamespace) -> None:
    """An alert that its detector inhibits is told when it fires after all, and never if it resolves before."""
    router = Router(Alerting())
    for number in ("+1", "+2"):
        router.take(make.alert(number, state=AlertState.INHIBITED), make.NOW)
    assert router.due(make.NOW + 30 * SECOND) == []
    router.take(make.alert("+1", state=AlertState.FIRING, sequence=2), make.NOW)
    router.take(make.alert("+2", state=AlertState.RESOLVED, sequence=2), make.NOW)
    assert told(router.due(make.NOW + 330 * SECOND)) == [("+1", True)]


def test_the_end_of_what_was_told_is_told_though_it_is_inhibited_by_then(make: SimpleNamespace) -> None:
    """A number's alert that people know of does not end in silence because its campaign fires meanwhile."""
    router = Router(Alerting())
    router.take(make.alert("+1"), make.NOW)
    router.due(make.NOW + 30 * SECOND)
    router.take(make.alert("spring-sale", kind=CAMPAIGN), make.NOW + MINUTE)
    router.take(make.alert("+1", state=AlertState.RESOLVED, sequence=2), make.NOW + 2 * MINUTE)
    assert sorted(told(router.due(make.NOW + 330 * SECOND))) == [("+1", False), ("spring-sale", True)]


def test_what_is_below_the_least_severity_is_counted(make: SimpleNamespace) -> None:
    """Opt-outs are told once a day as a count; a campaign's alert below the severity still inhibits its numbers'."""
    router = Router(Alerting())
    for person in range(3):
        router.take(make.alert(f"p{person}", kind=CONTACT, rule="opt_out", severity=Severity.INFO), make.NOW + person)
    router.take(make.alert("spring-sale", kind=CAMPAIGN, severity=Severity.INFO), make.NOW)
    router.take(make.alert("+1"), make.NOW)
    found = between(router, make.NOW, make.NOW + 25 * HOUR, 10 * MINUTE)
    ((at, notice),) = found
    counts = {"opt_out": 3, "volume_spike": 1}
    assert (at, notice.kind, notice.counts) == (24 * HOUR, NotificationKind.DIGEST, counts)
    assert notice.summary.startswith("4: 3 opt_out, 1 volume_spike (alerts below warning within 24 hours")


def test_the_overflow_is_counted_and_told(make: SimpleNamespace) -> None:
    """Beyond the cap of a minute, the most severe and highest are told, and the others in one line of counts."""
    router = Router(Alerting(new_alerts_per_minute=3))
    for number in range(5):
        router.take(make.alert(f"+{number}", campaign=f"c{number}"), make.NOW)
        router.take(make.alert(f"+{number}", rule="short_calls", severity=Severity.CRITICAL), make.NOW)
    router.take(make.alert("other", kind=CAMPAIGN, severity=Severity.CRITICAL, rule="blocked_calls"), make.NOW)
    found = router.due(make.NOW + 30 * SECOND)
    assert len(told(found)) == 3
    assert ("other", True) in told(found)
    assert {notice.labels["rule"] for notice in found} == {"short_calls", "blocked_calls"}
    (short,) = [notice for notice in found if notice.labels["rule"] == "short_calls"]
    assert short.left_out == 3
    assert router.due(make.NOW + 59 * SECOND) == []
    (overflow,) = router.due(make.NOW + 60 * SECOND)
    assert overflow.counts == {"volume_spike": 5, "short_calls": 3}
    assert overflow.summary.startswith("and 8 more: 5 volume_spike, 3 short_calls")
    for number in range(5):
        router.take(make.alert(f"+{number}", campaign=f"c{number}", state=AlertState.RESOLVED, sequence=2), make.NOW)
    assert told([notice for _, notice in between(router, make.NOW + HOUR, make.NOW + 2 * HOUR, MINUTE)]) == []


def test_a_storm_gives_few_notifications(make: SimpleNamespace) -> None:
    """500 alerts of one campaign's numbers within a minute are a handful of notifications, and none is unaccounted."""
    router = Router(Alerting())
    found: list[Notification] = []
    for tenth in range(6_000):
        now = make.NOW + tenth * 100
        if tenth < 600 and tenth % 6 != 5:
            router.take(make.alert(f"+1202555{tenth:04}"), now)
        found += router.due(now)
    assert len(found) <= 4
    assert len(told(found)) + sum(sum(notice.counts.values()) for notice in found) == 500
    assert max(len(notice.alerts) for notice in found) <= 60


def test_group_by_is_a_setting(make: SimpleNamespace) -> None:
    """Without labels everything is one group; by value each subject is one."""
    for group_by, groups in (([], 1), (["value"], 3)):
        router = Router(Alerting(group_by=group_by))
        for number in ("+1", "+2", "+3"):
            router.take(make.alert(number, rule=f"rule{number}"), make.NOW)
        assert len(router.due(make.NOW + 30 * SECOND)) == groups


def test_a_flood_drops_the_least_urgent_and_counts_them(make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past what is kept, a campaign's alert stays, and each alert that nobody is told of is counted."""
    monkeypatch.setattr("sinks.alerts.router.MAX_ALERTS", 100)
    router = Router(Alerting(new_alerts_per_minute=10))
    router.take(make.alert("spring-sale", kind=CAMPAIGN, campaign=None), make.NOW)
    for person in range(300):
        router.take(make.alert(f"+1{person}", kind=SubjectKind.CONTACT, campaign=None), make.NOW)
    found = [notice for _, notice in between(router, make.NOW, make.NOW + 3 * MINUTE)]
    shown = [value for value, firing in told(found) if firing]
    assert "spring-sale" in shown
    counted = sum(int(word) for notice in found for word in notice.summary.split() if word.isdigit())
    assert counted >= 301 - len(shown)
