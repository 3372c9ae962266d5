"""The rule `missing_callbacks`: calls that never end, gaps, or a stream gone quiet."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, Disposition, FactKind
from schemas.rule_settings.conduct import MissingCallbacks as Settings
from schemas.times import MINUTE, to_iso
from streams.detectors.callback_losses import CallbackLosses
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText, fire, resolve
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.stream_silence import StreamSilence
from streams.detectors.wilson import wilson_interval

RULE: Final = "missing_callbacks"

_LOSSES_SOURCE: Final = (
    "Twilio counts the callbacks of a call in SequenceNumber, and by default retries only where it could not connect, "
    "once (Webhooks, connection overrides). Risk-adjusted Bernoulli CUSUM (Steiner, Cook, Farewell and Treasure 2000, "
    "Biostatistics 1:441-452)."
)

UNFINISHED: Final = "never_ending"
GAPS: Final = "gaps"
QUIET: Final = "quiet"
"""The scopes of the three kinds of alert, which fire and resolve each by itself."""

_TEXTS: Final = {
    UNFINISHED: RuleText(
        rule=RULE,
        source=_LOSSES_SOURCE,
        what_to_do={
            SubjectKind.ACCOUNT: (
                "See that the calls' StatusCallback subscribes to `completed`, that its URL ends in #rc=5&rp=all, and "
                "that the gateway answered 2xx then; `ringwatch backfill` fetches the ends that are missing."
            )
        },
    ),
    GAPS: RuleText(
        rule=RULE,
        source=_LOSSES_SOURCE,
        what_to_do={
            SubjectKind.ACCOUNT: (
                "Look at Twilio's debugger for failed webhooks and at the gateway's metrics for refusals; end the "
                "callback's URL in #rc=5&rp=all, so that Twilio tries again; `ringwatch backfill` fetches the rest."
            )
        },
    ),
    QUIET: RuleText(
        rule=RULE,
        source=(
            "Exact probability that no five minutes have a call, by the account's own hours of the last four weeks; "
            "that call arrivals follow the hour of the week: Brown et al. 2005, Journal of the American Statistical "
            "Association 100:36-50."
        ),
        what_to_do={
            SubjectKind.ACCOUNT: (
                "Ask whether the dialers have stopped. If they call, look at Twilio's status and debugger, at the "
                "callback's URL, the certificate and the gateway; on a day off, silence the rule."
            )
        },
    ),
}

_WORDS: Final = {UNFINISHED: "never told of their end", GAPS: "have gaps between their callbacks"}


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
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED, FactKind.ENDED})
    LEAST: ClassVar[int] = 505

    __slots__ = ()

    @property
    def runs(self) -> int:
        """How often the rule has fired, all three kinds together."""
        state = self.state
        return state.episode.runs + state.unfinished.episode.runs + state.gaps.episode.runs

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in a call that was placed, or one that has ended."""
        if not self.settings.enabled:
            return NOTHING
        state, at = self.state, fact.at
        if fact.fact is FactKind.PLACED:
            state.calls += 1
            return self.see(at, fact.origin.partition)
        unfinished = fact.after.disposition is Disposition.UNFINISHED
        # A call that never ended is closed because time has passed: nothing came of it.
        findings = NOTHING if unfinished else self.see(at, fact.origin.partition)
        if state.unfinished.update(at, unfinished, self.settings):
            findings = [*findings, self._turn(UNFINISHED, state.unfinished, fact)]
        missing = fact.missing_callbacks
        if missing is not None and state.gaps.update(at, missing > 0, self.settings):
            findings = [*findings, self._turn(GAPS, state.gaps, fact)]
        return findings

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
                _TEXTS[QUIET],
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
                _TEXTS[QUIET],
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
        episode, settings, text = losses.episode, self.settings, _TEXTS[kind]
        fired = losses.fired
        assert fired is not None
        interval = wilson_interval(fired.losses, fired.calls)
        evidence: Evidence = {
            "kind": kind,
            "calls": fired.calls,
            "missing": fired.losses,
            "expected": round(fired.expected, 2),
            "share": round(fired.losses / fired.calls, 4),
            "interval": None if interval is None else [round(end, 4) for end in interval],
            "usual_share": round(losses.usual_share(settings), 4),
            "fresh_calls": losses.fresh_calls,
            "fresh_missing": losses.fresh_losses,
            "campaign": fact.campaign,
            "call_sid": fact.call_sid,
        }
        whose, at = f"Account {self.subject.value}", fact.at
        if episode.is_firing:
            message = f"{whose}: {losses.fresh_losses} of {losses.fresh_calls} calls since {_WORDS[kind]}, as is usual."
            losses.end()
            return resolve(
                episode, text, settings.severity, self.subject, at=at, message=message, evidence=evidence, scope=kind
            )
        message = (
            f"{whose}: {fired.losses} of the last {fired.calls} calls {_WORDS[kind]}, where {fired.expected:.1f} were "
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
