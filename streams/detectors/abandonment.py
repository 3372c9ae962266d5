"""The rule `abandonment`: people answer and never reach an agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import ClassVar, Final

from schemas.alert import Alert, Evidence, Severity, SubjectKind
from schemas.call import CallFact, Contribution, Disposition, FactKind
from schemas.rule_settings.conduct import Abandonment as Settings
from schemas.times import DAY, to_iso
from streams.detectors.abandonment_counts import AbandonmentState, Counts
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.wilson import shown_interval, wilson_interval

_TEXT: Final = RuleText(
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

Z_99: Final = 2.576
"""The interval's quantile (99 %) before a block is over. As it is looked at with each call, the usual 95 % would fire
early in 1 of 100 blocks of a campaign that truly abandons 2 %, and in 6 of 100 at 2.5 %; this fires in none and in 1
(simulated, 300 blocks of 3,000 answered calls), and finds 5 % after 330 answered calls (median)."""

_PERSON: Final = frozenset({Disposition.HUMAN, Disposition.ANSWERED})
"""`answered` is an answer of which no machine detection says that a machine gave it."""

_EARLY, _ENDED, _ROLLING = "block so far", "block at its end", "rolling 30 days"


class Abandonment(Detector[Settings, AbandonmentState]):
    """The share of calls of one campaign that a person answered and that never reached an agent.

    A call counts once it is known whether it reached one, by the day and block of its attempt. A block fires early when
    its share lies above the limit beyond doubt, and else at its end by the bare share, as the law counts. The rolling
    days warn across the border of two blocks.

    >>> from schemas.alert import Subject
    >>> rule = Abandonment(Settings(), Subject(SubjectKind.CAMPAIGN, "spring-sale"))
    >>> for call in range(1, 1_000):
    ...     if rule.count(call * 60_000, call % 16 == 0):
    ...         break
    >>> call
    192
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = AbandonmentState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CAMPAIGN})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED, FactKind.REVISED})
    LEAST: ClassVar[int] = 100

    __slots__ = ()

    @property
    def severity(self) -> Severity:
        """The early warning of the rolling days is no breach yet."""
        return Severity.WARNING if self.state.rolling else self.settings.severity

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in a call that has ended, or of which more became known."""
        if not self.settings.enabled:
            return NOTHING
        state = self.state
        since = None if fact.registration is None else fact.registration.campaign_since
        if state.start is None or self.settings.blocks_from is not None:
            self._begin(fact.after.attempted_at if since is None else since)
        state.newest = max(state.newest, fact.at)
        ended = state.judge_at is not None and state.newest >= state.judge_at
        findings = self._judge() if ended else NOTHING
        was, now = _abandoned(fact.before), _abandoned(fact.after)
        if was is None and now is None:
            return findings
        if was is not None and fact.before is not None:
            state.add(fact.before.attempted_at, -1, -was)
        if now is not None:
            state.add(fact.after.attempted_at, 1, now)
        found = self._look(state.block_of(fact.after.attempted_at))
        return [*findings, *found] if found else findings

    def count(self, at: int, abandoned: bool) -> Sequence[Finding]:
        """Count one call that a person answered; `update` does so as facts tell of it.

        Args:
            at: when it was attempted, in milliseconds since the epoch.
            abandoned: whether it never reached an agent.
        """
        if self.state.start is None:
            self._begin(at)
        self.state.add(at, 1, abandoned)
        return self._look(self.state.block_of(at))

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it; the block is the one that `at` lies in."""
        state = self.state
        block = None if state.start is None else state.block_of(at)
        answered, abandoned = (0, 0) if block is None else state.blocks.get(block, (0, 0))
        rolling_answered, rolling_abandoned = state.window(at)
        enough = "ok" if rolling_answered >= self.settings.least_answered else "learning"
        return {
            "state": self.word(enough if rolling_answered else "no_data"),
            "block_from": None if block is None else to_iso(state.border(block)),
            "block_until": None if block is None else to_iso(state.border(block + 1)),
            "answered": answered,
            "abandoned": abandoned,
            "share": _share(answered, abandoned),
            "rolling_answered": rolling_answered,
            "rolling_abandoned": rolling_abandoned,
            "rolling_share": _share(rolling_answered, rolling_abandoned),
            "limit": self.settings.limit,
            "since": state.episode.since_iso,
        }

    def _begin(self, at: int) -> None:
        """Fix where block 0 begins: where the settings say, else at the start of a day; a new beginning counts anew."""
        state, chosen = self.state, self.settings.blocks_from
        state.begin(at // DAY * DAY if chosen is None else _midnight(chosen))

    def _judge(self) -> list[Finding]:
        """Judge the blocks that have ended, by their bare shares."""
        state = self.state
        findings: list[Finding] = []
        while (ended := state.pop_ended(state.newest)) is not None:
            block, counts = ended
            if self._is_over(counts):
                if counts[0] >= self.settings.least_answered:
                    findings.append(self._tell(_ENDED, block, counts))
            elif counts[0] and state.episode.is_firing and not state.rolling:
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
        rolling, block = state.window(state.newest), state.block_of(state.newest)
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

    def _tell(self, decided_by: str, block: int, counts: Counts) -> Alert:
        state = self.state
        state.rolling = decided_by == _ROLLING
        evidence = self._evidence(decided_by, block, counts)
        message = f"Campaign {self.subject.value}: {_words(decided_by, counts)}; at most {self._limit()} may be."
        if state.episode.is_firing:
            return self.tell(at=state.newest, message=message, evidence=evidence)
        since = min(state.days) * DAY if state.rolling else state.border(block)
        return self.fire(at=state.newest, since=since, message=message, evidence=evidence)

    def _resolve(self, decided_by: str, block: int, counts: Counts) -> Alert:
        state = self.state
        message = f"Campaign {self.subject.value} is within {self._limit()} again: {_words(decided_by, counts)}."
        evidence = self._evidence(decided_by, block, counts)
        alert = self.resolve(at=state.newest, message=message, evidence=evidence)
        state.rolling = False
        return alert

    def _limit(self) -> str:
        return f"{100 * self.settings.limit:g} %"

    def _evidence(self, decided_by: str, block: int, counts: Counts) -> Evidence:
        answered, abandoned = counts
        rolling_answered, rolling_abandoned = self.state.window(self.state.newest)
        return {
            "campaign": self.subject.value,
            "decided_by": decided_by,
            "block": block,
            "block_from": to_iso(self.state.border(block)),
            "block_until": to_iso(self.state.border(block + 1)),
            "answered": answered,
            "abandoned": abandoned,
            "share": _share(answered, abandoned),
            "interval": shown_interval(abandoned, answered),
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


def _share(answered: int, abandoned: int) -> float | None:
    return round(abandoned / answered, 4) if answered else None


def _words(decided_by: str, counts: Counts) -> str:
    answered, abandoned = counts
    share = f" ({100 * abandoned / answered:.2f} %)" if answered else ""
    return f"{decided_by}, {abandoned} of {answered} calls that a person answered never reached an agent{share}"


@lru_cache(maxsize=256)
def _midnight(day: date) -> int:
    return round(datetime.combine(day, time.min, UTC).timestamp() * 1_000)
