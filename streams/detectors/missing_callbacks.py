"""The rule `missing_callbacks`: calls that never end, gaps, or a stream gone quiet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log
from typing import ClassVar

import msgspec

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, Disposition, FactKind
from schemas.rule_settings.conduct import MissingCallbacks as Settings
from schemas.times import MINUTE, to_iso
from streams.detectors.callback_losses import CallbackLosses
from streams.detectors.callback_texts import GAPS, QUIET, RULE, TEXTS, UNFINISHED, WORDS
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import fire, resolve
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.stream_silence import StreamSilence
from streams.detectors.wilson import shown_interval


class CallbacksState(DetectorState, array_like=True):
    """What is kept of an account; the episode is that of the stream gone quiet.

    Attributes:
        calls: calls that were placed.
        unfinished: calls that never end.
        gaps: calls with callbacks missing in between.
        silence: when calls come.
    """

    calls: int = 0
    unfinished: CallbackLosses = msgspec.field(default_factory=CallbackLosses)
    gaps: CallbackLosses = msgspec.field(default_factory=CallbackLosses)
    silence: StreamSilence = msgspec.field(default_factory=StreamSilence)


class MissingCallbacks(Detector[Settings, CallbacksState]):
    """What Twilio does not tell of the calls of one account, by three signs, each an alert of its own.

    Calls that never end and calls with gaps are shares of the ended calls, held against the account's own usual share.
    A stream gone quiet is held against the same hours of the last four weeks; it is told by ticks, as no call tells of
    itself that it did not come.

    >>> from schemas.alert import Subject
    >>> rule = MissingCallbacks(Settings(), Subject(SubjectKind.ACCOUNT, "AC1"))
    >>> for minute in range(8 * 24 * 60):
    ...     if 9 <= minute // 60 % 24 < 17:
    ...         _ = rule.see(minute * MINUTE, 0)
    >>> ticks = [len(rule.quiet(minute * MINUTE, 0)) for minute in range(8 * 24 * 60, 9 * 24 * 60)]
    >>> divmod(ticks.index(1), 60), sum(ticks), len(rule.see(9 * 24 * 60 * MINUTE, 0))
    ((10, 22), 1, 1)
    """

    RULE: ClassVar[str] = RULE
    STATE: ClassVar[type[DetectorState]] = CallbacksState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.ACCOUNT})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset(
        {FactKind.PLACED, FactKind.ENDED, FactKind.REVISED, FactKind.QUIET}
    )
    LEAST: ClassVar[int] = 505

    __slots__ = ()

    @property
    def runs(self) -> int:
        """How often the rule has fired, all three kinds together."""
        state = self.state
        return state.episode.runs + state.unfinished.episode.runs + state.gaps.episode.runs

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in a call that was placed or has ended, what never came of it, or that nothing came at all."""
        if not self.settings.enabled:
            return NOTHING
        state, at = self.state, fact.at
        if fact.fact is FactKind.PLACED:
            return self._look_at_call(fact)
        if fact.fact is FactKind.QUIET:
            return self.quiet(at, fact.origin.partition)
        if fact.fact is FactKind.REVISED:
            # Gaps are told when no callback is waited for any more; till then the call has passed for one without.
            return self._look_at_loss(GAPS, state.gaps, fact) if fact.missing_callbacks else NOTHING
        # It is closed because time has passed; till then it has passed for one that ends.
        is_lost = fact.after.disposition is Disposition.UNFINISHED
        return self._look_at_loss(UNFINISHED, state.unfinished, fact) if is_lost else NOTHING

    def _look_at_call(self, fact: CallFact) -> Sequence[Finding]:
        state = self.state
        state.calls += 1
        findings = [*self.see(fact.at, fact.origin.partition)]
        findings += self._take(UNFINISHED, state.unfinished, fact, state.unfinished.place(fact.at))
        if fact.missing_callbacks is not None:
            findings += self._take(GAPS, state.gaps, fact, state.gaps.place(fact.at))
        return findings or NOTHING

    def _look_at_loss(self, kind: str, losses: CallbackLosses, fact: CallFact) -> list[Finding]:
        return self._take(kind, losses, fact, losses.lose(fact.after.attempted_at, fact.at))

    def _take(
        self, kind: str, losses: CallbackLosses, fact: CallFact, calls: Iterable[tuple[int, bool]]
    ) -> list[Finding]:
        return [self._turn(kind, losses, fact) for at, lost in calls if losses.update(at, lost, self.settings)]

    def see(self, at: int, partition: int) -> Sequence[Finding]:
        """Take in a sign that calls still come.

        Args:
            at: its event time, in milliseconds since the epoch.
            partition: of `callbacks`, which it came by.
        """
        state, episode = self.state, self.state.episode
        silence = state.silence
        is_over = episode.since is not None and at > silence.last_at
        began = silence.last_at
        silence.see(at, partition, is_told=is_over)
        if not is_over:
            return NOTHING
        minutes = (at - began) / MINUTE
        return [
            resolve(
                episode,
                TEXTS[QUIET],
                self.settings.severity,
                self.subject,
                at=max(at, episode.fired_at),
                message=f"Account {self.subject.value}: calls come again, after {minutes:.0f} minutes without.",
                evidence={"kind": QUIET, "silent_minutes": round(minutes, 1), "last_call_at": to_iso(began)},
                scope=QUIET,
            )
        ]

    def quiet(self, at: int, partition: int) -> Sequence[Finding]:
        """Take in that no callback came by a partition until a time.

        The account is quiet up to where that is known of all partitions that its calls have come by.

        Args:
            at: the time, in milliseconds since the epoch.
            partition: of `callbacks`.
        """
        state, settings = self.state, self.settings
        silence = state.silence
        if not settings.enabled or partition not in silence.told:
            return NOTHING
        silence.told[partition] = max(silence.told[partition], at)
        until = silence.known_until()
        too_short = until - silence.last_at < settings.quiet_minutes * MINUTE
        if too_short or state.episode.is_firing or silence.learned < settings.learning_hours:
            return NOTHING
        evidence = silence.out_of_chance(until, log(settings.quiet_chance))
        if evidence is None:
            return NOTHING
        minutes = (until - silence.last_at) / MINUTE
        return [
            fire(
                state.episode,
                TEXTS[QUIET],
                settings.severity,
                self.subject,
                at=until,
                since=silence.last_at,
                message=(
                    f"Account {self.subject.value}: nothing came of any call for {minutes:.0f} minutes, at an hour at "
                    "which calls have come in each of the last weeks."
                ),
                evidence={
                    "kind": QUIET,
                    "silent_minutes": round(minutes, 1),
                    "last_call_at": to_iso(silence.last_at),
                    "log10_chance": round(evidence / log(10), 2),
                    "allowed_chance": settings.quiet_chance,
                },
                scope=QUIET,
            )
        ]

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it; each of the three kinds has a state of its own."""
        state, settings = self.state, self.settings
        silence = state.silence
        learned = silence.learned >= settings.learning_hours
        quiet = "firing" if state.episode.is_firing else "ok" if learned else "learning"
        unfinished, gaps = self._shown(state.unfinished), self._shown(state.gaps)
        words = {quiet, unfinished["state"], gaps["state"]}
        if not settings.enabled:
            word = "off"
        elif silence.hour is None and not state.unfinished.calls:
            word = "no_data"
        else:
            word = next(word for word in ("firing", "learning", "ok", "no_data") if word in words)
        since = [
            episode.since
            for episode in (state.episode, state.unfinished.episode, state.gaps.episode)
            if episode.since is not None
        ]
        return {
            "state": word,
            "calls": state.calls,
            UNFINISHED: unfinished,
            GAPS: gaps,
            QUIET: {
                "state": quiet,
                "last_call_at": to_iso(silence.last_at) if silence.last_at else None,
                "silent_minutes": round(max(at - silence.last_at, 0) / MINUTE, 1) if silence.last_at else None,
                "learned_hours": silence.learned,
                "learning_hours": settings.learning_hours,
            },
            "since": to_iso(min(since)) if since else None,
        }

    def _shown(self, losses: CallbackLosses) -> dict[str, object]:
        learned = losses.calls >= self.settings.learning_calls
        word = "firing" if losses.episode.is_firing else "ok" if learned else "learning" if losses.calls else "no_data"
        return {
            "state": word,
            "learned_calls": losses.calls,
            "usual_share": round(losses.usual_share(self.settings), 4) if learned else None,
            "score": round(losses.cusum.score, 3),
        }

    def _turn(self, kind: str, losses: CallbackLosses, fact: CallFact) -> Finding:
        """Fire, or resolve what is firing."""
        episode, settings, text = losses.episode, self.settings, TEXTS[kind]
        fired = losses.fired
        assert fired is not None
        evidence: Evidence = {
            "kind": kind,
            "calls": fired.calls,
            "missing": fired.losses,
            "expected": round(fired.expected, 2),
            "share": round(fired.losses / fired.calls, 4),
            "interval": shown_interval(fired.losses, fired.calls),
            "usual_share": round(losses.usual_share(settings), 4),
            "fresh_calls": losses.fresh_calls,
            "fresh_missing": losses.fresh_losses,
            "campaign": fact.campaign,
            "call_sid": fact.call_sid,
        }
        whose, at = f"Account {self.subject.value}", fact.at
        if episode.is_firing:
            message = f"{whose}: {losses.fresh_losses} of {losses.fresh_calls} calls since {WORDS[kind]}, as is usual."
            losses.end()
            return resolve(
                episode, text, settings.severity, self.subject, at=at, message=message, evidence=evidence, scope=kind
            )
        message = (
            f"{whose}: {fired.losses} of the last {fired.calls} calls {WORDS[kind]}, where {fired.expected:.1f} were "
            "expected."
        )
        return fire(
            episode,
            text,
            settings.severity,
            self.subject,
            at=at,
            since=losses.since(at),
            message=message,
            evidence=evidence,
            scope=kind,
        )
