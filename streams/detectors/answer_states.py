"""What `answer_rate_collapse` remembers of a campaign, of a number in it, and of a collapse under way."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Self

import msgspec

from schemas.alert import AlertState, Subject, SubjectKind
from schemas.rules import AnswerRateCollapse
from schemas.times import DAY, HOUR
from streams.detectors.bernoulli_cusum import BernoulliCusum
from streams.detectors.held_numbers import HeldNumbers, allowed_of
from streams.detectors.run_length import least_threshold
from streams.windows.hour_of_week_rate import HourOfWeekRate
from streams.windows.packing import pack, unpack

VERSION = 1

RULE = "answer_rate_collapse"

ACTIVE_DAYS = 7
"""A number is one of its campaign's numbers if it was seen this many days ago or less: a week holds every weekday."""

CHARTS = 2
"""Every call steps its number's chart and its campaign's; each may spend half of the fleet's false alarms."""

MARGIN = 4.0
"""Run lengths hold for known, constant rates. Estimated ones that also differ from day to day (a share of 0.01 of the
variance) bring false alarms some four times as often, which `make quality` measures."""


def run_length(settings: AnswerRateCollapse) -> float:
    """Calls between the false alarms of one chart, from the fleet's budget.

    >>> run_length(AnswerRateCollapse(fleet_calls_per_day=50_000, false_alarms_per_day=2))
    200000.0
    """
    return MARGIN * CHARTS * settings.fleet_calls_per_day / settings.false_alarms_per_day


class Collapse(msgspec.Struct, array_like=True):
    """One run, from the first alert until it is resolved.

    Attributes:
        run: counts the subject's runs.
        sequence: counts the transitions of the run.
        state: firing or inhibited.
        since: when the evidence began, the estimated start.
        fired_at: when the run's first alert was given.
        calls: calls from the start to the first alert.
        answered: answers among them.
        expected: answers expected of them.
        recovery: score of the mirrored CUSUM over the calls since, in nats.
        fresh_calls: calls since the first alert.
        fresh_answered: answers among them.
        tried: calls since a suppression was last granted, or its end, or its refusal.
        until: when the suppression ends by itself; None if there is none.
    """

    run: int
    sequence: int
    state: AlertState
    since: int
    fired_at: int
    calls: int
    answered: int
    expected: float
    recovery: float = 0.0
    fresh_calls: int = 0
    fresh_answered: int = 0
    tried: int = 0
    until: int | None = None


class Pending(msgspec.Struct, array_like=True):
    """Calls that the baseline does not learn before the evidence against them is gone.

    Attributes:
        hours: by hour of week, calls and answers.
        expected: answers that the campaign's rate expected of them.
    """

    hours: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    expected: float = 0.0

    def add(self, hour: int, answered: bool, expected: float) -> None:
        """Hold one call back."""
        calls, answers = self.hours.get(hour, (0, 0))
        self.hours[hour] = (calls + 1, answers + answered)
        self.expected += expected

    def teach(self, rates: HourOfWeekRate, at: int) -> tuple[int, float]:
        """Let the baseline learn all of them; returns the answers and the expected answers."""
        total = 0
        for hour in sorted(self.hours):
            calls, answers = self.hours[hour]
            rates.learn(hour, at, answers, calls)
            total += answers
        expected = self.expected
        self.forget()
        return total, expected

    def forget(self) -> None:
        """Drop them."""
        self.hours = {}
        self.expected = 0.0


class _CampaignState(msgspec.Struct, array_like=True):
    rates: HourOfWeekRate = msgspec.field(default_factory=HourOfWeekRate)
    cusum: BernoulliCusum = msgspec.field(default_factory=BernoulliCusum)
    pending: Pending = msgspec.field(default_factory=Pending)
    observed: float = 0.0
    expected: float = 0.0
    index: int = 0
    run: int = 0
    collapse: Collapse | None = None
    collapses: dict[str, Collapse] = msgspec.field(default_factory=dict)
    seen: dict[str, int] = msgspec.field(default_factory=dict)
    today: int = 0
    began: int | None = None


class _NumberState(msgspec.Struct, array_like=True):
    rates: HourOfWeekRate = msgspec.field(default_factory=HourOfWeekRate)
    campaign_answered: float = 0.0
    campaign_expected: float = 0.0
    cusum: BernoulliCusum = msgspec.field(default_factory=BernoulliCusum)
    pending: Pending = msgspec.field(default_factory=Pending)
    observed: float = 0.0
    expected: float = 0.0
    index: int = 0
    run: int = 0


_campaign_decoder = msgspec.msgpack.Decoder(_CampaignState)
_number_decoder = msgspec.msgpack.Decoder(_NumberState)


class CampaignAnswers:
    """How a campaign's calls are answered: baseline, evidence, its numbers' present level, alerts under way.

    Args:
        settings: the rule's settings as they hold for this campaign.
        campaign: the campaign's name.

    Attributes:
        state: what is stored.
        subject: the campaign as the subject of an alert.
        held: the numbers that other rules have suppressed.
        peer_decay: what a call leaves of the weight of those before it.
        recovery_ratio: half the fall that is looked for, as an odds ratio; what recovery is told from.
        run_length: wanted calls between false alarms of a chart.
        least_threshold: the lowest threshold that this can mean; below it nothing needs a closer look.
    """

    __slots__ = (
        "campaign",
        "held",
        "least_threshold",
        "peer_decay",
        "recovery_ratio",
        "run_length",
        "settings",
        "state",
        "subject",
    )

    def __init__(self, settings: AnswerRateCollapse, campaign: str) -> None:
        self.settings = settings
        self.campaign = campaign
        self.held = HeldNumbers()
        self.subject = Subject(SubjectKind.CAMPAIGN, campaign)
        self.peer_decay = 0.5 ** (1 / settings.peer_half_life_calls)
        self.recovery_ratio = sqrt(settings.odds_ratio)
        self.run_length = run_length(settings)
        self.least_threshold = least_threshold(settings.odds_ratio, self.run_length)
        self.state = _CampaignState()

    @property
    def learned(self) -> bool:
        """Whether enough calls were learned for a baseline to hold numbers against."""
        return self.state.rates.learned >= self.settings.learning_calls

    def watched(self, at: int) -> bool:
        """Whether the campaign's own chart may run: it has its calls, and has lived through the hours of a day.

        A number is judged beside its peers, which know the hour; a campaign has only its own past to say that nobody
        answers at night.
        """
        began = self.state.began
        return self.learned and began is not None and at >= began + self.settings.learning_hours * HOUR

    def see(self, number: str, at: int) -> None:
        """Note that a number is in use, and forget those that no longer are."""
        state = self.state
        day = at // DAY
        if state.began is None:
            state.began = at
        if day > state.today:
            state.today = day
            state.seen = {seen: last for seen, last in state.seen.items() if last > day - ACTIVE_DAYS}
        if state.seen.get(number, 0) < day:
            state.seen[number] = day

    def suppressed(self, at: int) -> set[str]:
        """The campaign's numbers that are suppressed at a time, by this rule or another."""
        own = {number for number, run in self.state.collapses.items() if run.until is not None and run.until > at}
        return own | self.held.at(at)

    def refusal(self, number: str, at: int) -> str | None:
        """Why a number may not be suppressed, in words; None if it may be."""
        taken = self.suppressed(at)
        active = len(self.state.seen)
        allowed = allowed_of(self.settings.suppress_share, active)
        if number in taken or len(taken) < allowed:
            return None
        return f"{len(taken)} of the campaign's {active} active numbers are suppressed and at most {allowed} may be"

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(VERSION, self.state)

    @classmethod
    def from_bytes(cls, data: bytes, settings: AnswerRateCollapse, campaign: str) -> Self:
        """The state from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        answers = cls(settings, campaign)
        answers.state = unpack(VERSION, _campaign_decoder, data, "answers of a campaign")
        return answers


class NumberAnswers:
    """How the calls of one number in one campaign are answered: its own baseline and evidence.

    Args:
        settings: the rule's settings as they hold for the campaign.
        number: the company's own number.
        campaign: the campaign's name.

    Attributes:
        state: what is stored.
        subject: the number as the subject of an alert.
        expected: chance that its last call would be answered, as far as was known before it; None without a baseline.
    """

    __slots__ = ("campaign", "expected", "number", "settings", "state", "subject")

    def __init__(self, settings: AnswerRateCollapse, number: str, campaign: str) -> None:
        self.settings = settings
        self.number = number
        self.campaign = campaign
        self.subject = Subject(SubjectKind.NUMBER, number)
        self.expected: float | None = None
        self.state = _NumberState()

    @property
    def learned(self) -> bool:
        """Whether enough calls were learned for a baseline."""
        return self.state.rates.learned >= self.settings.learning_calls

    def is_told(self, collapses: Mapping[str, Collapse]) -> bool:
        """Whether an alert of this rule tells of the number now."""
        run = collapses.get(self.number)
        return run is not None and run.state is AlertState.FIRING

    @property
    def runs(self) -> int:
        """How often the rule has fired on the number; a state with runs must be kept, or alert ids would repeat."""
        return self.state.run

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(VERSION, self.state)

    @classmethod
    def from_bytes(cls, data: bytes, settings: AnswerRateCollapse, number: str, campaign: str) -> Self:
        """The state from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        answers = cls(settings, number, campaign)
        answers.state = unpack(VERSION, _number_decoder, data, "answers of a number")
        return answers
