"""The rule `abandonment`: people answer and never reach an agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import ClassVar, Final

import msgspec

from schemas.alert import Alert, Evidence, Severity, SubjectKind
from schemas.call import CallFact, Contribution, Disposition, FactKind
from schemas.rule_settings.conduct import Abandonment as Settings
from schemas.times import DAY, HOUR, to_iso
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText, fire, resolve, tell
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.wilson import wilson_interval

TEXT: Final = RuleText(
    rule="abandonment",
    source=(
        "16 CFR 310.4(b)(4)(i), by 30 days in force since 1 October 2008, and 47 CFR 64.1200(a)(7)(i), by campaign in "
        "force since 15 November 2012: at most 3 % of the calls answered live by a person, measured over the campaign "
        "if it is shorter than 30 days, or separately over each successive 30-day period or portion thereof."
    ),
    what_to_do={
        SubjectKind.CAMPAIGN: (
            "Slow the dialer's pacing or put more agents on at once; see that a recorded message with the seller's "
            "name and number plays where nobody is free within two seconds, and keep the records."
        )
    },
)

BLOCK: Final = 30 * DAY
"""The law's period."""

ROLLING_DAYS: Final = 30
"""The early warning looks at as many days as the law's period has."""

GRACE: Final = HOUR
"""How long after a block's end it is judged: what a call came to may be told half an hour after it has ended."""

Z_99: Final = 2.576
"""The interval's quantile (99 %) before a block is over. As it is looked at with each call, the usual 95 % would fire
early in 1 of 100 blocks of a campaign that truly abandons 2 %, and in 6 of 100 at 2.5 %; this fires in none and in 1
(simulated, 300 blocks of 3,000 answered calls), and finds 5 % after 330 answered calls (median)."""

_PERSON: Final = frozenset({Disposition.HUMAN, Disposition.ANSWERED})
"""`answered` is an answer of which no machine detection says that a machine gave it."""

_EARLY, _ENDED, _ROLLING = "block so far", "block at its end", "rolling 30 days"

Counts = tuple[int, int]
"""Calls answered by a person, and those of them that were abandoned."""


class AbandonmentState(DetectorState, array_like=True):
    """What is kept of a campaign.

    Attributes:
        start: when block 0 begins, in milliseconds since the epoch; None before the first call.
        judge_at: when the next block is judged; None while no block has calls.
        judged: the last block that was judged; None before the first.
        newest: event time of the newest fact.
        blocks: counts of blocks that are not judged yet, by their number.
        days: counts of the last 30 days, by days since the epoch.
        rolling: whether the alert under way is the early warning of the rolling days.
    """

    start: int | None = None
    judge_at: int | None = None
    judged: int | None = None
    newest: int = 0
    blocks: dict[int, Counts] = msgspec.field(default_factory=dict)
    days: dict[int, Counts] = msgspec.field(default_factory=dict)
    rolling: bool = False


class Abandonment(Detector[Settings, AbandonmentState]):
    """The share of calls of one campaign that a person answered and that never reached an agent.

    A call counts once it is known whether it reached one, by the day and block of its attempt. A block fires early when
    its share lies above the limit beyond doubt, and else at its end by the bare share, as the law counts. The rolling
    days warn across the border of two blocks.

    >>> from schemas.alert import Subject
    >>> rule = Abandonment(Settings(), Subject(SubjectKind.CAMPAIGN, "spring-sale"))
    >>> for call in range(1, 1_000):
    ...     if rule.count(call * 60_000, 1, call % 12 == 0):
    ...         break
    >>> call
    108
    """

    RULE: ClassVar[str] = TEXT.rule
    STATE: ClassVar[type[DetectorState]] = AbandonmentState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CAMPAIGN})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED, FactKind.REVISED})
    LEAST: ClassVar[int] = 100

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in a call that has ended, or of which more became known."""
        if not self.settings.enabled:
            return NOTHING
        state = self.state
        since = None if fact.registration is None else fact.registration.campaign_since
        if state.start is None or self.settings.blocks_from is not None:
            self._begin(fact.after.attempted_at if since is None else since)
        state.newest = max(state.newest, fact.at)
        findings = NOTHING
        if state.judge_at is not None and state.newest >= state.judge_at:
            findings = self._judge()
        was, now = _abandoned(fact.before), _abandoned(fact.after)
        if was is None and now is None:
            return findings
        found = NOTHING
        if was is not None and fact.before is not None:
            found = self.count(fact.before.attempted_at, -1, was)
        if now is not None:
            found = [*found, *self.count(fact.after.attempted_at, 1, now)]
        return [*findings, *found] if found else findings

    def count(self, at: int, amount: int, abandoned: bool) -> list[Finding]:
        """Count a call that a person answered.

        Args:
            at: when it was attempted, in milliseconds since the epoch.
            amount: 1, or -1 to take it back.
            abandoned: whether it never reached an agent.
        """
        state = self.state
        if state.start is None:
            self._begin(at)
        assert state.start is not None
        state.newest = max(state.newest, at)
        _add(state.days, at // DAY, amount, abandoned)
        for day in [day for day in state.days if day <= state.newest // DAY - ROLLING_DAYS]:
            del state.days[day]
        block = (at - state.start) // BLOCK
        if state.judged is None or block > state.judged:
            _add(state.blocks, block, amount, abandoned)
            self._set_judgement()
        return self._look(block)

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it; the block is the one that `at` lies in."""
        state = self.state
        block = None if state.start is None else (at - state.start) // BLOCK
        answered, abandoned = (0, 0) if block is None else state.blocks.get(block, (0, 0))
        rolling_answered, rolling_abandoned = self._rolling(at)
        if not self.settings.enabled:
            word = "off"
        elif state.episode.is_firing:
            word = "firing"
        elif not rolling_answered:
            word = "no_data"
        else:
            word = "ok" if rolling_answered >= self.settings.least_answered else "learning"
        return {
            "state": word,
            "block_from": None if block is None else self._border(block),
            "block_until": None if block is None else self._border(block + 1),
            "answered": answered,
            "abandoned": abandoned,
            "share": _share(answered, abandoned),
            "rolling_answered": rolling_answered,
            "rolling_abandoned": rolling_abandoned,
            "rolling_share": _share(rolling_answered, rolling_abandoned),
            "limit": self.settings.limit,
            "since": None if state.episode.since is None else to_iso(state.episode.since),
        }

    def _begin(self, at: int) -> None:
        """Fix where block 0 begins: where the settings say, else at the start of a day; a new beginning counts anew."""
        state, chosen = self.state, self.settings.blocks_from
        start = at // DAY * DAY if chosen is None else _midnight(chosen)
        if start != state.start:
            state.start, state.judge_at, state.judged, state.blocks = start, None, None, {}

    def _set_judgement(self) -> None:
        state = self.state
        assert state.start is not None
        state.judge_at = state.start + (min(state.blocks) + 1) * BLOCK + GRACE if state.blocks else None

    def _judge(self) -> list[Finding]:
        """Judge the blocks that have ended, by their bare shares."""
        state = self.state
        findings: list[Finding] = []
        while state.judge_at is not None and state.newest >= state.judge_at:
            block = min(state.blocks)
            counts = state.blocks.pop(block)
            state.judged = block
            self._set_judgement()
            answered, abandoned = counts
            if self._is_over(counts):
                if answered >= self.settings.least_answered:
                    findings.append(self._tell(_ENDED, block, counts))
            elif answered and state.episode.is_firing and not state.rolling:
                findings.append(self._resolve(_ENDED, block, counts))
        return findings

    def _look(self, block: int) -> list[Finding]:
        """Look at a block under way and at the rolling days after a call was counted."""
        state = self.state
        if state.episode.is_firing and not state.rolling:
            return NOTHING
        counts = state.blocks.get(block, (0, 0))
        if self._is_beyond_doubt(counts):
            return [self._tell(_EARLY, block, counts)]
        rolling = self._rolling(state.newest)
        if not state.episode.is_firing:
            return [self._tell(_ROLLING, block, rolling)] if self._is_beyond_doubt(rolling) else NOTHING
        return NOTHING if self._is_over(rolling) else [self._resolve(_ROLLING, block, rolling)]

    def _is_over(self, counts: Counts) -> bool:
        answered, abandoned = counts
        # 3 of 100 must not be over 0.03, whatever its binary fraction makes of it.
        return abandoned > self.settings.limit * answered + 1e-9

    def _is_beyond_doubt(self, counts: Counts) -> bool:
        answered, abandoned = counts
        if answered < self.settings.least_answered or not self._is_over(counts):
            return False
        interval = wilson_interval(abandoned, answered, Z_99)
        return interval is not None and interval[0] > self.settings.limit

    def _rolling(self, at: int) -> Counts:
        oldest = at // DAY - ROLLING_DAYS
        counts = [counts for day, counts in self.state.days.items() if day > oldest]
        return sum(answered for answered, _ in counts), sum(abandoned for _, abandoned in counts)

    def _border(self, block: int) -> str:
        assert self.state.start is not None
        return to_iso(self.state.start + block * BLOCK)

    def _tell(self, decided_by: str, block: int, counts: Counts) -> Alert:
        state = self.state
        assert state.start is not None
        state.rolling = decided_by == _ROLLING
        severity = Severity.WARNING if state.rolling else self.settings.severity
        evidence = self._evidence(decided_by, block, counts)
        message = f"Campaign {self.subject.value}: {_words(decided_by, counts)}; at most {self._limit()} may be."
        if state.episode.is_firing:
            return tell(
                state.episode, TEXT, severity, self.subject, at=state.newest, message=message, evidence=evidence
            )
        since = min(state.days, default=0) * DAY if state.rolling else state.start + block * BLOCK
        return fire(
            state.episode,
            TEXT,
            severity,
            self.subject,
            at=state.newest,
            since=since,
            message=message,
            evidence=evidence,
        )

    def _resolve(self, decided_by: str, block: int, counts: Counts) -> Alert:
        state = self.state
        severity = Severity.WARNING if state.rolling else self.settings.severity
        state.rolling = False
        message = f"Campaign {self.subject.value} is within {self._limit()} again: {_words(decided_by, counts)}."
        evidence = self._evidence(decided_by, block, counts)
        return resolve(state.episode, TEXT, severity, self.subject, at=state.newest, message=message, evidence=evidence)

    def _limit(self) -> str:
        return f"{100 * self.settings.limit:g} %"

    def _evidence(self, decided_by: str, block: int, counts: Counts) -> Evidence:
        answered, abandoned = counts
        interval = wilson_interval(abandoned, answered)
        rolling_answered, rolling_abandoned = self._rolling(self.state.newest)
        return {
            "campaign": self.subject.value,
            "decided_by": decided_by,
            "block": block,
            "block_from": self._border(block),
            "block_until": self._border(block + 1),
            "answered": answered,
            "abandoned": abandoned,
            "share": _share(answered, abandoned),
            "interval": None if interval is None else [round(end, 4) for end in interval],
            "limit": self.settings.limit,
            "rolling_answered": rolling_answered,
            "rolling_abandoned": rolling_abandoned,
            "rolling_share": _share(rolling_answered, rolling_abandoned),
        }


def _abandoned(told: Contribution | None) -> bool | None:
    """Whether a call was abandoned; None if no person answered, or nobody told."""
    if told is None or told.reached_agent is None or told.disposition not in _PERSON:
        return None
    return not told.reached_agent


def _add(counts: dict[int, Counts], key: int, amount: int, abandoned: bool) -> None:
    answered, lost = counts.get(key, (0, 0))
    # What is taken back may have been counted before the counts began anew.
    counts[key] = max(answered + amount, 0), max(lost + amount * abandoned, 0)


def _share(answered: int, abandoned: int) -> float | None:
    return round(abandoned / answered, 4) if answered else None


def _words(decided_by: str, counts: Counts) -> str:
    answered, abandoned = counts
    share = f" ({100 * abandoned / answered:.2f} %)" if answered else ""
    return f"{decided_by}, {abandoned} of {answered} calls that a person answered never reached an agent{share}"


@lru_cache(maxsize=256)
def _midnight(day: date) -> int:
    return round(datetime.combine(day, time.min, UTC).timestamp() * 1_000)
