"""The rule `no_answer_streak`: so many unanswered calls in a row that chance is out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, SubjectKind
from schemas.call import ANSWERS, SEIZURES, CallFact, FactKind
from schemas.rule_settings.answers import NoAnswerStreak as Settings
from schemas.times import HOUR, MINUTE, to_iso
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.suppression_cap import NOT_LET, Cap, hold, lift, refused
from streams.detectors.unanswered_streak import UnansweredStreak

_TEXT: Final = RuleText(
    rule="no_answer_streak",
    source=(
        "Exact probability of a run of unanswered calls, the product of 1 - p over them; "
        "answer-seizure ratio as in ITU-T E.411."
    ),
    what_to_do={
        SubjectKind.NUMBER: (
            "Call a phone of your own from the number: if it does not ring, the number is blocked or its route is "
            "broken. Rest it, and look up its label and its Trust Hub registration."
        )
    },
)

LEARNING_CALLS: Final = 100
"""Calls before the number's own share of answers is one to expect; as the default of `answer_rate_collapse`."""

MEMORY_CALLS: Final = 1_000
"""The own share's counts are halved beyond this, so that it follows the seasons."""


class StreakState(DetectorState, array_like=True):
    """What is kept of a number in a campaign.

    Attributes:
        streak: the unanswered calls in a row now.
        fired: those of the alert under way, or of the last one.
        known: whether the chance of the last call was known; None before the first.
        answers: answered calls since the alert fired, or since the last streak that was as long.
        fresh: calls since the alert fired.
        learned: calls that the number's own share was learned from.
        learned_answers: answers among them.
    """

    streak: UnansweredStreak = msgspec.field(default_factory=UnansweredStreak)
    fired: UnansweredStreak = msgspec.field(default_factory=UnansweredStreak)
    known: bool | None = None
    answers: int = 0
    fresh: int = 0
    learned: int = 0
    learned_answers: int = 0


class NoAnswerStreak(Detector[Settings, StreakState]):
    """Unanswered calls in a row of one number in one campaign, for a number that is dead or blocked outright.

    A number that was answered by p of its calls goes n calls without an answer with the chance (1 - p)^n. Each call is
    weighed by the chance of its own hour, number and campaign. `answer_rate_collapse` sees the same and more; this rule
    is the quickest where nothing at all comes through, and its reason needs no statistics to be believed.

    The chance holds for one starting point, and every answered call is one. So false alarms come at most p times
    `chance` as often as calls: at the default of 1e-5 and a rate of 35 %, one in some 290,000 calls. Rates that are
    estimated and differ from day to day bring more: simulated, one in 115,000 where the days' share of the variance is
    0.01, and one in 55,000 where it is 0.02 (at a chance of 1e-4: one in 20,000 and in 10,000).

    The stage calls `take` for each ended call that reached the network, with the chance that `answer_rate_collapse`
    expects. `update` is for use without a campaign: it goes by the number's own share of answers.

    >>> from schemas.alert import Subject
    >>> streak = NoAnswerStreak(Settings(), Subject(SubjectKind.NUMBER, "+12025550100"))
    >>> for call in range(1, 100):
    ...     if streak.take(call * 60_000, False, 0.35, campaign="spring-sale"):
    ...         break
    >>> call
    27
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = StreakState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.NUMBER})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED})
    LEAST: ClassVar[int] = 11

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in an ended call, against the number's own share of answers; nothing is suppressed."""
        if not self.settings.enabled or fact.after.disposition not in SEIZURES:
            return NOTHING
        state = self.state
        answered = fact.after.disposition in ANSWERS
        if state.learned >= LEARNING_CALLS:
            expected = (state.learned_answers + 0.5) / (state.learned + 1)
            # Misses wait for the answer that ends them: a streak must not teach that nobody answers.
            misses = state.streak.calls if answered and not state.episode.is_firing else None
        else:
            expected, misses = None, 0
        if misses is not None:
            state.learned += misses + 1
            state.learned_answers += answered
            if state.learned > MEMORY_CALLS:
                state.learned, state.learned_answers = state.learned // 2, state.learned_answers // 2
        return self.take(fact.at, answered, expected, campaign=fact.campaign)

    def take(
        self,
        at: int,
        answered: bool,
        expected: float | None,
        *,
        campaign: str,
        inhibited: bool = False,
        cap: Cap | None = None,
    ) -> Sequence[Finding]:
        """Take in one ended call that reached the network.

        Args:
            at: when it ended, in milliseconds since the epoch.
            answered: whether anybody or anything answered.
            expected: the chance that it would be, from 0 to 1; None while that is being learned.
            campaign: the campaign it was placed for; the scope of alert and suppression.
            inhibited: whether an alert of `answer_rate_collapse` tells of the number or its campaign already.
            cap: says whether the number may be suppressed; without one it is not.
        """
        if not self.settings.enabled:
            return NOTHING
        state = self.state
        state.known = expected is not None
        if state.episode.is_firing:
            return self._follow(at, answered, expected, campaign, inhibited, cap)
        if not self._is_out_of_chance(at, answered, expected):
            return NOTHING
        state.fired, state.streak = state.streak, UnansweredStreak()
        state.answers = state.fresh = 0
        return self._tell(at, campaign, inhibited, cap, state.fired.since)

    def describe(self, at: int) -> dict[str, object]:  # noqa: ARG002 - the streak is the same at all times
        """The state as the API shows it; the chance is that of the streak under way, None while there is none."""
        state, streak = self.state, self.state.streak
        known = "ok" if state.known else "learning"
        return {
            "state": self.word("no_data" if state.known is None else known),
            "unanswered_in_a_row": streak.calls,
            "expected": round(streak.expected, 2) if streak.calls else None,
            "log10_chance": round(streak.log10_chance, 2) if streak.calls else None,
            "inhibited": state.episode.inhibited,
            "since": state.episode.since_iso,
        }

    def _is_out_of_chance(self, at: int, answered: bool, expected: float | None) -> bool:
        """Whether a call makes the streak so long that chance is out; an answer ends it."""
        state = self.state
        streak = state.streak
        if answered:
            if streak.calls:
                state.streak = UnansweredStreak()
            return False
        if expected is None:
            return False
        streak.add(at, expected)
        settings = self.settings
        return streak.calls >= settings.least_calls and streak.is_out_of_chance(settings.chance, settings.least_calls)

    def _follow(
        self, at: int, answered: bool, expected: float | None, campaign: str, inhibited: bool, cap: Cap | None
    ) -> Sequence[Finding]:
        """Look for the end of the run, and for who is to tell of it."""
        state, episode = self.state, self.state.episode
        state.fresh += 1
        again = self._is_out_of_chance(at, answered, expected)
        if answered:
            state.answers += 1
            dwelt = at >= episode.fired_at + self.settings.dwell_minutes * MINUTE
            if state.answers >= self.settings.recovery_answers and dwelt:
                return self._resolve(at, campaign, cap)
        elif again:
            state.answers = 0
            state.streak = UnansweredStreak()
        if inhibited:
            return NOTHING if episode.inhibited else self._tell(at, campaign, True, cap)
        # What was inhibited waits for calls of its own before it speaks up: it may have recovered with the rest.
        released = episode.inhibited and not answered and state.answers == 0
        ended = episode.until is None or at >= episode.until
        if released or (again and ended and self._refusal(at, False, cap) is None):
            return self._tell(at, campaign, False, cap)
        return NOTHING

    def _tell(
        self, at: int, campaign: str, inhibited: bool, cap: Cap | None, since: int | None = None
    ) -> list[Finding]:
        """Tell of the run under way, or of one that begins where `since` is given; suppress if that is allowed."""
        lifted = self._lift(campaign, cap) if inhibited else []
        refusal = self._refusal(at, inhibited, cap)
        until = at + round(self.settings.suppress_hours * HOUR)
        message, evidence = self._message(campaign, inhibited), self._evidence(campaign)
        if refusal is None:
            evidence |= {"suppressed": True, "suppressed_until": to_iso(until)}
        else:
            evidence |= refused(refusal)
        if since is None:
            alert = self.tell(at=at, message=message, evidence=evidence, scope=campaign, inhibited=inhibited)
        else:
            alert = self.fire(
                at=at, since=since, message=message, evidence=evidence, scope=campaign, inhibited=inhibited
            )
        if refusal is not None or cap is None:
            return [alert, *lifted]
        return [alert, hold(cap, self.state.episode, alert, until, campaign)]

    def _resolve(self, at: int, campaign: str, cap: Cap | None) -> list[Finding]:
        state = self.state
        lifted = self._lift(campaign, cap)
        alert = self.resolve(
            at=at,
            message=(
                f"Number {self.subject.value} in campaign {campaign} is answered again: {state.answers} of its last "
                "calls were."
            ),
            evidence=self._evidence(campaign),
            scope=campaign,
        )
        return [alert, *lifted]

    def _lift(self, campaign: str, cap: Cap | None) -> list[Finding]:
        return lift(cap, self.state.episode, self.subject, self.RULE, campaign)

    def _refusal(self, at: int, inhibited: bool, cap: Cap | None) -> str | None:
        if inhibited:
            return "answer_rate_collapse tells of it and decides"
        if not self.settings.suppress:
            return NOT_LET
        if cap is None:
            return "nobody says how many of the campaign's numbers are suppressed already"
        return cap.refusal(self.subject.value, at)

    def _message(self, campaign: str, inhibited: bool) -> str:
        fired = self.state.fired
        told = (
            f"Number {self.subject.value} in campaign {campaign} went unanswered {fired.calls} times in a row, "
            f"where {fired.expected:.1f} answers were expected"
        )
        return f"{told}; answer_rate_collapse tells of it." if inhibited else f"{told}."

    def _evidence(self, campaign: str) -> Evidence:
        state = self.state
        return {
            "campaign": campaign,
            "calls": state.fired.calls,
            "answered": 0,
            "expected": round(state.fired.expected, 2),
            "log10_chance": round(state.fired.log10_chance, 2),
            "allowed_chance": self.settings.chance,
            "fresh_calls": state.fresh,
            "answers_since": state.answers,
        }
