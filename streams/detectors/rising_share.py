"""A share that has risen: the statistics behind all rules that watch a share of calls.

Each trial is one step of two charts: its number's, against the number's own share so far, and its campaign's. A rise on
one number stands out there and is left out of the campaign's chart; a rise on all of them shows in the campaign, whose
alert inhibits those of its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import msgspec

from schemas.alert import Alert, Evidence, Subject, SubjectKind, alert_id
from schemas.rule_settings.shares import ShareSettings
from schemas.suppression import Suppression
from schemas.times import HOUR, MINUTE, to_iso
from streams.detectors.bernoulli_cusum import BernoulliCusum
from streams.detectors.detector import DetectorState
from streams.detectors.episode import fire, resolve, tell
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.recovery import RECOVERED, recovery_score
from streams.detectors.run_length import least_threshold, threshold
from streams.detectors.share_rule import ShareRule
from streams.detectors.suppression_cap import NOT_LET, Cap, hold, lift, refused
from streams.detectors.wilson import shown_interval

PRIOR_TRIALS = 50.0
"""Trials that the setting's usual share is worth beside what a campaign was seen to do: soon outweighed."""

MEMORY_TRIALS = 4_000
"""Learned counts are halved past this: enough to know a share of 2 % to within a fifth, and to follow the seasons."""

PENDING_TRIALS = 200
"""Trials that wait to be learned at most. A rise that is looked for is found in fewer; one that is not found by then is
less, or the baseline was too low, and would never be put right if only trials without evidence could teach it."""

LOWEST_SHARE, HIGHEST_SHARE = 0.005, 0.5
"""Expected shares are kept within these: below, one call would outweigh the estimate; above, nothing can triple."""


class ShareState(DetectorState, array_like=True):
    """What is kept of one rule and one number or campaign.

    Attributes:
        trials: learned trials.
        hits: learned hits.
        pending_trials: trials that are not learned before the evidence against them is gone.
        pending_hits: hits among them.
        cusum: the chart; it counts the trials that are no hits.
        grave: hits of the graver sort since the chart left zero.
        fired: trials, hits, graver hits and expected hits of the run under way.
        recovery: score of the mirrored chart since, in nats.
        fresh_trials: trials since the run began.
        fresh_hits: hits among them.
    """

    trials: int = 0
    hits: int = 0
    pending_trials: int = 0
    pending_hits: int = 0
    cusum: BernoulliCusum = msgspec.field(default_factory=BernoulliCusum)
    grave: int = 0
    fired: tuple[int, int, int, float] = (0, 0, 0, 0.0)
    recovery: float = 0.0
    fresh_trials: int = 0
    fresh_hits: int = 0

    def learn(self, trials: int, hits: int) -> None:
        """Let the baseline learn."""
        self.trials += trials
        self.hits += hits
        if self.trials > MEMORY_TRIALS:
            self.trials = round(self.trials / 2)
            self.hits = round(self.hits / 2)


class Chart(msgspec.Struct, frozen=True):
    """What a rule's settings mean for its charts.

    Attributes:
        fall: the ratio by which the odds of a call that is no hit fall; below 1.
        run_length: wanted trials between false alarms.
        least_threshold: below this score nothing needs a closer look, in nats.
    """

    fall: float
    run_length: float
    least_threshold: float


@lru_cache(maxsize=64)
def chart(odds_ratio: float, run_length: float) -> Chart:
    """The charts of a rule, by the rise that it looks for and the trials between false alarms."""
    fall = 1 / odds_ratio
    return Chart(fall, run_length, least_threshold(fall, run_length))


def step(
    rule: type[ShareRule],
    settings: ShareSettings,
    campaign: tuple[Subject, ShareState],
    number: tuple[Subject, ShareState] | None,
    at: int,
    hit: bool,
    cap: Cap,
    *,
    grave: bool = False,
) -> Sequence[Finding]:
    """Take in one trial; trials come in the order of their log.

    Args:
        rule: what is watched.
        settings: of the rule, as they hold for the campaign.
        campaign: the campaign and what is kept of it; changed in place.
        number: the number and what is kept of it in this campaign; changed in place. None for a rule about campaigns.
        at: event time of the trial, in milliseconds since the epoch.
        hit: whether the call was of the bad sort.
        cap: says whether a number may be suppressed.
        grave: whether the call was of the rule's graver sort too.

    Returns:
        What the trial brought to light; mostly nothing.
    """
    charts = chart(settings.odds_ratio, settings.trials_between_false_alarms)
    whole, shared = campaign
    usual = _usual(settings, shared)
    learned = shared.trials >= settings.learning_trials
    if number is None:
        return _step(rule, settings, charts, whole, shared, "", None, at, hit, grave, usual, learned, None)
    subject, own = number
    weight = settings.shrinkage_trials
    expected = _within((own.hits + weight * usual) / (own.trials + weight))
    findings: Sequence[Finding] = NOTHING
    if own.episode.is_firing and not own.episode.inhibited:
        # The number's own alert explains its calls: they neither teach the campaign nor speak against it.
        pass
    elif own.cusum.score > charts.least_threshold / 2 and not shared.episode.is_firing:
        # A number that is about to stand out does not speak against its campaign either. Where all numbers rise, the
        # campaign has its evidence before any of them has half of its own. It is learned, as mostly nothing comes of
        # it, and what is never learned would be missing from the share to expect.
        shared.learn(1, hit)
    else:
        findings = _step(rule, settings, charts, whole, shared, "", None, at, hit, grave, usual, learned, None)
    above = alert_id(rule.RULE, whole, shared.episode.runs) if shared.episode.is_firing else None
    more = _step(rule, settings, charts, subject, own, whole.value, above, at, hit, grave, expected, learned, cap)
    return [*findings, *more] if findings and more else findings or more


def _usual(settings: ShareSettings, campaign: ShareState) -> float:
    """The campaign's share, one standard error above what was seen: few trials show too low a share as often as not."""
    trials = campaign.trials + PRIOR_TRIALS
    share = (campaign.hits + PRIOR_TRIALS * settings.usual_share) / trials
    return _within(share + sqrt(share * (1 - share) / trials))


def _within(share: float) -> float:
    return min(max(share, LOWEST_SHARE), HIGHEST_SHARE)


def _step(
    rule: type[ShareRule],
    settings: ShareSettings,
    charts: Chart,
    subject: Subject,
    state: ShareState,
    scope: str,
    above: str | None,
    at: int,
    hit: bool,
    grave: bool,
    share: float,
    learned: bool,
    cap: Cap | None,
) -> Sequence[Finding]:
    if state.episode.is_firing:
        return _follow(rule, settings, charts, subject, state, scope, above, at, hit, share, cap)
    if not learned:
        state.learn(1, hit)
        return NOTHING
    cusum = state.cusum
    score = cusum.update(at, not hit, 1 - share, charts.fall)
    if score == 0:
        state.learn(1 + state.pending_trials, hit + state.pending_hits)
        state.pending_trials = state.pending_hits = state.grave = 0
        return NOTHING
    state.pending_trials += 1
    state.pending_hits += hit
    state.grave += grave
    if state.pending_trials >= PENDING_TRIALS:
        state.learn(state.pending_trials, state.pending_hits)
        state.pending_trials = state.pending_hits = 0
    if score < charts.least_threshold or cusum.calls - cusum.answered < settings.least_hits:
        return NOTHING
    if score < threshold(cusum.expected / cusum.calls, charts.fall, charts.run_length):
        return NOTHING
    return _fire(rule, settings, subject, state, scope, above, at, cap)


def _fire(
    rule: type[ShareRule],
    settings: ShareSettings,
    subject: Subject,
    state: ShareState,
    scope: str,
    above: str | None,
    at: int,
    cap: Cap | None,
) -> list[Finding]:
    cusum = state.cusum
    state.fired = cusum.calls, cusum.calls - cusum.answered, state.grave, cusum.calls - cusum.expected
    since = at if cusum.since is None else cusum.since
    cusum.reset()
    state.pending_trials = state.pending_hits = state.grave = 0
    state.recovery, state.fresh_trials, state.fresh_hits = 0.0, 0, 0
    evidence, refusal = _evidence(rule, state, subject, scope), None
    if above is not None:
        evidence["inhibited_by"] = above
    elif cap is not None:
        refusal = _refusal(settings, cap, subject, at)
        evidence |= {"suppressed": True} if refusal is None else refused(refusal)
    alert = fire(
        state.episode,
        rule.TEXT,
        settings.severity,
        subject,
        at=at,
        since=since,
        message=_message(rule, subject, scope, state, to_iso(since)),
        evidence=evidence,
        scope=scope,
        inhibited=above is not None,
    )
    if cap is None or above is not None or refusal is not None:
        return [alert]
    return [alert, _suppress(settings, state, alert, scope, cap)]


def _follow(
    rule: type[ShareRule],
    settings: ShareSettings,
    charts: Chart,
    subject: Subject,
    state: ShareState,
    scope: str,
    above: str | None,
    at: int,
    hit: bool,
    share: float,
    cap: Cap | None,
) -> Sequence[Finding]:
    """Look for the end of a run, and whether another alert tells of it now, or no longer."""
    episode = state.episode
    state.fresh_trials += 1
    state.fresh_hits += hit
    # Half the rise that was found, or the rise that is looked for where that is more: a share of 3 % needs hundreds of
    # calls to be told from 5 %.
    fall = min(charts.fall, _half_of(state, share))
    state.recovery = recovery_score(state.recovery, not hit, 1 - share, fall)
    if (
        state.recovery >= RECOVERED
        and state.fresh_trials >= settings.recovery_trials
        and at >= episode.fired_at + settings.dwell_minutes * MINUTE
    ):
        return _recover(rule, settings, subject, state, scope, at, cap)
    if episode.inhibited == (above is not None):
        return NOTHING
    if above is None and state.recovery > 0:
        # It leans to recovery: its own calls are waited for before it is told after all.
        return NOTHING
    evidence = _evidence(rule, state, subject, scope)
    findings: list[Finding] = []
    if above is not None:
        evidence["inhibited_by"] = above
        findings = lift(cap, episode, subject, rule.RULE, scope)
    since = episode.since
    assert since is not None
    alert = tell(
        episode,
        rule.TEXT,
        settings.severity,
        subject,
        at=at,
        message=_message(rule, subject, scope, state, to_iso(since)),
        evidence=evidence,
        scope=scope,
        inhibited=above is not None,
    )
    if above is None and cap is not None and _refusal(settings, cap, subject, at) is None:
        findings.append(_suppress(settings, state, alert, scope, cap))
    return [alert, *findings]


def _half_of(state: ShareState, share: float) -> float:
    """Half the rise that was found, in log odds, as a fall of the odds of a call that is no hit."""
    trials, hits, _, _ = state.fired
    # Half a hit and half a miss more, as all or none of a few calls would mean endless odds.
    found = (hits + 0.5) / (trials - hits + 0.5)
    return sqrt(min(share / (1 - share) / found, 1.0))


def _recover(
    rule: type[ShareRule],
    settings: ShareSettings,
    subject: Subject,
    state: ShareState,
    scope: str,
    at: int,
    cap: Cap | None,
) -> list[Finding]:
    lifted = lift(cap, state.episode, subject, rule.RULE, scope)
    alert = resolve(
        state.episode,
        rule.TEXT,
        settings.severity,
        subject,
        at=at,
        message=(
            f"{_whose(subject, scope)}: {rule.HITS} are as many as usual again, "
            f"{state.fresh_hits} of {state.fresh_trials} {rule.TRIALS} since."
        ),
        evidence=_evidence(rule, state, subject, scope),
        scope=scope,
    )
    state.recovery = 0.0
    return [alert, *lifted]


def _refusal(settings: ShareSettings, cap: Cap, subject: Subject, at: int) -> str | None:
    if not settings.suppress:
        return NOT_LET
    return cap.refusal(subject.value, at)


def _suppress(settings: ShareSettings, state: ShareState, alert: Alert, scope: str, cap: Cap) -> Suppression:
    return hold(cap, state.episode, alert, alert.at + round(settings.suppress_hours * HOUR), scope)


def _evidence(rule: type[ShareRule], state: ShareState, subject: Subject, scope: str) -> Evidence:
    trials, hits, grave, expected = state.fired
    return {
        **({} if rule.GRAVE is None else {rule.GRAVE: grave}),
        "campaign": scope or subject.value,
        "trials": trials,
        "hits": hits,
        "expected": round(expected, 2),
        "share": round(hits / trials, 4),
        "interval": shown_interval(hits, trials),
        "baseline": round(expected / trials, 4),
        "band": rule.band(hits / trials),
        "counted": f"{rule.HITS} among {rule.TRIALS}",
        "fresh_trials": state.fresh_trials,
        "fresh_hits": state.fresh_hits,
        "fresh_interval": shown_interval(state.fresh_hits, state.fresh_trials),
    }


def _whose(subject: Subject, scope: str) -> str:
    if subject.kind is SubjectKind.NUMBER:
        return f"Number {subject.value} in campaign {scope}"
    return f"Campaign {subject.value}"


def _message(rule: type[ShareRule], subject: Subject, scope: str, state: ShareState, since: str) -> str:
    trials, hits, _, expected = state.fired
    return (
        f"{_whose(subject, scope)}: {hits} {rule.HITS} among {trials} {rule.TRIALS} since {since}, "
        f"where {expected:.1f} were expected."
    )


def describe(
    rule: type[ShareRule], settings: ShareSettings, state: ShareState | None, campaign: ShareState | None
) -> dict[str, object]:
    """The state as the API shows it.

    Args:
        rule: the rule.
        settings: as they hold for the campaign.
        state: of the number or campaign; None before its first trial.
        campaign: of the campaign.
    """
    learned = 0 if campaign is None else campaign.trials
    if not settings.enabled:
        word = "off"
    elif state is None or campaign is None:
        word = "no_data"
    elif state.episode.is_firing:
        word = "inhibited" if state.episode.inhibited else "firing"
    else:
        word = "ok" if learned >= settings.learning_trials else "learning"
    trials = 0 if state is None else state.trials
    hits = 0 if state is None else state.hits
    since = None if state is None else state.episode.since
    return {
        "state": word,
        "trials": trials,
        "hits": hits,
        "share": round(hits / trials, 4) if trials else None,
        "interval": shown_interval(hits, trials),
        "band": rule.band(hits / trials) if trials else None,
        "score": None if state is None else round(state.cusum.score, 3),
        "since": None if since is None else to_iso(since),
    }
