"""A day on which nobody answers the whole campaign: how many of its 40 numbers get alerts, and is one's own fall seen.

The comparison is a chart per number that knows the usual rate of the hour and nothing of the other numbers.
"""

from __future__ import annotations

from statistics import median

from bench.quality.figures import Figure
from bench.quality.fleet import Fleet, firings
from bench.quality.markov_chain import exact_threshold, odds_ratio
from bench.quality.traffic import NUMBERS, RATE, WARM_UP_DAYS, Day, a_day
from bench.quality.trials import LIMIT
from schemas.alert import Alert, AlertState
from schemas.rules import AnswerRateCollapse
from streams.detectors.answer_states import run_length
from streams.detectors.bernoulli_cusum import BernoulliCusum

PART = "bad_day"
SEED = 51
BAD_SEED = 52
TRIALS = 50
BETWEEN = 3
"""Usual days between bad ones."""

BAD_ODDS = 0.45
OWN_ODDS = odds_ratio(RATE, 0.12)
"""The victim's own fall, on top of the campaign's."""

FALLEN_DAYS = 8
_HOUR = 3_600_000


def measure() -> list[Figure]:
    """Run the bad days."""
    settings = AnswerRateCollapse()
    limits = [exact_threshold(RATE, settings.odds_ratio, wanted) for wanted in (10_000.0, run_length(settings))]
    fleet = Fleet(settings)
    told: list[int] = []
    held: list[int] = []
    campaign_hours: list[float] = []
    same_day: list[int] = []
    delays: list[int | None] = []
    without_peers: list[list[int]] = [[] for _ in limits]
    day = 0
    for trial in range(TRIALS):
        for _ in range(BETWEEN if day else WARM_UP_DAYS):
            for _ in fleet.run(a_day(SEED, day)):
                pass
            day += 1
        saved = fleet.save()
        bad = a_day(BAD_SEED, day, BAD_ODDS)
        alerts = [alert for _, found in fleet.run(bad) for alert in found]
        fleet.load(saved)
        of_campaign = [alert for alert in alerts if alert.subject == fleet.campaign.subject]
        told.append(firings(alerts) - firings(of_campaign))
        held.append(len({alert.subject for alert in alerts if alert.state is AlertState.INHIBITED}))
        campaign_hours += [(alert.at - int(bad.at[0])) / _HOUR for alert in of_campaign[:1]]
        for limit, counts in zip(limits, without_peers, strict=True):
            counts.append(alarmed(bad, limit, settings.odds_ratio))
        who = trial % NUMBERS
        if not fleet.down(who):
            calls, late = own_fall(fleet, who, day)
            same_day.append(late)
            delays.append(calls)
        fleet.load(saved)
    found = [delay for delay in delays if delay is not None]

    def figure(name: str, unit: str, value: float, target: str | None = None, note: str = "") -> Figure:
        return Figure(part=PART, name=name, measure="value", unit=unit, value=round(value, 3), target=target, note=note)

    return [
        figure("number alerts that fire, the rule", "alerts", sum(told) / TRIALS, "<= 1", f"{TRIALS} bad days"),
        figure("the most on one day", "alerts", max(told)),
        figure("inhibited by the campaign's", "alerts", sum(held) / TRIALS),
        figure("chart without peers, set for 1 in 10,000", "alerts", sum(without_peers[0]) / TRIALS),
        figure("chart without peers, the rule's threshold", "alerts", sum(without_peers[1]) / TRIALS),
        figure("bad days on which the campaign's fires", "share", len(campaign_hours) / TRIALS),
        figure("median time to the campaign's", "hours", median(campaign_hours)),
        figure("own fall found within 300 calls", "share", len(found) / len(delays), ">= 0.95", "firing or inhibited"),
        figure("own fall found on the same day", "share", sum(same_day) / len(same_day), None, "some 60 calls"),
        figure("own fall, median delay", "calls", median(found)),
    ]


def alarmed(bad: Day, limit: float, ratio: float) -> int:
    """How many numbers' charts give an alarm on a day, each against the usual rate of the hour.

    Args:
        bad: the day.
        limit: the threshold h, in nats.
        ratio: R that the charts look for.
    """
    charts = [BernoulliCusum() for _ in range(NUMBERS)]
    over: set[int] = set()
    for at, number, usual, answered in zip(
        bad.at.tolist(), bad.number.tolist(), bad.usual.tolist(), bad.answered.tolist(), strict=True
    ):
        if charts[number].update(at, answered, usual, ratio) >= limit:
            over.add(number)
    return len(over)


def own_fall(fleet: Fleet, who: int, day: int) -> tuple[int | None, bool]:
    """A number falls on the morning of a bad day and stays down when the campaign has recovered.

    Returns:
        Its calls until the rule notes it, firing or inhibited, None if not within 300; and whether on the same day.
    """
    calls = 0
    for later in range(FALLEN_DAYS):
        odds = dict.fromkeys(range(NUMBERS), 1.0 if later else BAD_ODDS)
        odds[who] *= OWN_ODDS
        for number, alerts in fleet.run(a_day(BAD_SEED, day + later, odds)):
            calls += number == who
            if calls > LIMIT:
                return None, False
            if _notes(alerts, fleet.names[who]):
                return calls, not later
    return None, False


def _notes(alerts: list[Alert], name: str) -> bool:
    return any(alert.subject.value == name and alert.state is not AlertState.RESOLVED for alert in alerts)
