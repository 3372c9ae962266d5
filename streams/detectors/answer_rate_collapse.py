"""The rule `answer_rate_collapse`: a number's or a campaign's answer rate has fallen.

Each ended call is one step of two charts: its number's, against the number's own rate in this hour of the week and
what the campaign's other numbers do now, and its campaign's, against the campaign's rate in this hour of the week. A
fall of one number stands out against its peers; a fall of all numbers shows in the campaign, whose alert inhibits
those of its numbers.
"""

from __future__ import annotations

from math import log

from schemas.alert import AlertState, Evidence, Subject, SubjectKind
from schemas.rules import AnswerRateCollapse
from schemas.times import HOUR, MINUTE, hour_of_week
from streams.detectors.answer_alerts import collapse_alert, id_of, lift, resolved_alert, suppress
from streams.detectors.answer_rates import campaign_rate, number_rate, peer_factor, within
from streams.detectors.answer_states import CampaignAnswers, Collapse, NumberAnswers
from streams.detectors.bernoulli_cusum import BernoulliCusum
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.recovery import RECOVERED, recovery_score
from streams.detectors.run_length import threshold

CAMPAIGN_RECOVERED = log(1_000)
"""What `RECOVERED` is for a number, but for a campaign, which has enough calls to be surer: on a day whose odds are
halved, and that is no more than half the fall, 20 to 1 comes up by chance every few hundred calls."""

CAMPAIGN_RUN_LENGTHS = 4.0
"""A campaign's false alarms are to be so many times rarer than a number's: each inhibits the alerts of all its numbers,
and the thirty calls more that it takes are minutes of a campaign."""

DOUBTFUL = log(5)
"""Score below which a number counts as still down: the calls since speak less than 5 to 1 for recovery."""

LOOK_BACK = 2 * HOUR
"""A number whose evidence began this long before its campaign's belongs to the campaign's fall: starts are estimates
and a number places a few calls an hour."""


def step(campaign: CampaignAnswers, number: NumberAnswers, at: int, answered: bool) -> list[Finding]:
    """Take in one ended call; calls come in the order of their log.

    Args:
        campaign: what is known of the campaign; changed in place.
        number: what is known of the number in this campaign; changed in place.
        at: when the call ended, in milliseconds since the epoch.
        answered: whether anybody or anything answered.

    Returns:
        What the call brought to light, in the order in which it is to be told; mostly nothing.
    """
    # Other rules go by which numbers are in use, too.
    campaign.see(number.number, at)
    if not campaign.settings.enabled:
        return NOTHING
    shared, own = campaign.state, number.state

    hour = hour_of_week(at)
    usual = campaign_rate(campaign, hour)
    baseline = number_rate(number, hour, usual)

    decay = campaign.peer_decay
    forgotten = decay ** (shared.index - own.index)
    own_observed, own_expected = own.observed * forgotten, own.expected * forgotten
    expected = within(baseline * peer_factor(campaign, own_observed, own_expected))

    shared.index += 1
    own.index = shared.index
    shared.observed = shared.observed * decay + answered
    shared.expected = shared.expected * decay + baseline
    own.observed = own_observed * decay + answered
    own.expected = own_expected * decay + baseline

    ready = campaign.learned
    number.expected = expected if ready and number.learned else None
    findings = _step_campaign(campaign, number.number, hour, at, answered, usual)
    more = _step_number(campaign, number, ready, hour, at, answered, expected, usual)
    return findings + more if findings and more else findings or more


def _step_campaign(
    campaign: CampaignAnswers, number: str, hour: int, at: int, answered: bool, rate: float
) -> list[Finding]:
    state, settings = campaign.state, campaign.settings
    if state.collapse is not None:
        _look_for_recovery(state.collapse, answered, rate, campaign, CAMPAIGN_RECOVERED)
        is_over = _recovered(state.collapse, at, settings, CAMPAIGN_RECOVERED)
        return _resolve_campaign(campaign, at) if is_over else NOTHING
    if number in state.collapses:
        # The number's own alert explains its calls: they neither teach the campaign nor speak against it.
        return NOTHING
    if not campaign.watched(at):
        state.rates.learn(hour, at, answered)
        return NOTHING
    score = state.cusum.update(at, answered, rate, settings.odds_ratio)
    state.pending.add(hour, answered, rate)
    if score == 0:
        state.pending.teach(state.rates, at)
    elif _crossed(state.cusum, campaign, CAMPAIGN_RUN_LENGTHS):
        return _fire_campaign(campaign, at)
    return NOTHING


def _step_number(
    campaign: CampaignAnswers,
    number: NumberAnswers,
    ready: bool,
    hour: int,
    at: int,
    answered: bool,
    expected: float,
    usual: float,
) -> list[Finding]:
    state, settings = number.state, campaign.settings
    collapse = campaign.state.collapses.get(number.number)
    if collapse is not None:
        state.run = max(state.run, collapse.run)
        _look_for_recovery(collapse, answered, expected, campaign, RECOVERED)
        if _recovered(collapse, at, settings, RECOVERED):
            return _resolve_number(campaign, number, collapse, at)
        return _reconsider(campaign, number.subject, collapse, at)
    if not (ready and number.learned):
        state.rates.learn(hour, at, answered)
        state.campaign_answered += answered
        state.campaign_expected += usual
        return NOTHING
    score = state.cusum.update(at, answered, expected, settings.odds_ratio)
    state.pending.add(hour, answered, usual)
    if score == 0:
        if campaign.state.collapse is None:
            answers, expectation = state.pending.teach(state.rates, at)
            state.campaign_answered += answers
            state.campaign_expected += expectation
        else:
            state.pending.forget()
    elif _crossed(state.cusum, campaign):
        return _fire_number(campaign, number, at)
    return NOTHING


def _crossed(cusum: BernoulliCusum, campaign: CampaignAnswers, run_lengths: float = 1.0) -> bool:
    if cusum.score < campaign.least_threshold:
        return False
    mean_rate = cusum.expected / cusum.calls
    return cusum.score >= threshold(mean_rate, campaign.settings.odds_ratio, run_lengths * campaign.run_length)


def _look_for_recovery(collapse: Collapse, answered: bool, rate: float, campaign: CampaignAnswers, mark: float) -> None:
    collapse.fresh_calls += 1
    collapse.fresh_answered += answered
    collapse.tried += 1
    collapse.recovery = recovery_score(collapse.recovery, answered, rate, campaign.recovery_ratio, mark)


def _recovered(collapse: Collapse, at: int, settings: AnswerRateCollapse, mark: float) -> bool:
    return (
        collapse.recovery >= mark
        and collapse.fresh_calls >= settings.recovery_calls
        and at >= collapse.fired_at + settings.dwell_minutes * MINUTE
    )


def _start(cusum: BernoulliCusum, run: int, state: AlertState, at: int) -> Collapse:
    since = at if cusum.since is None else cusum.since
    collapse = Collapse(run, 1, state, since, at, cusum.calls, cusum.answered, cusum.expected)
    cusum.reset()
    return collapse


def _fire_campaign(campaign: CampaignAnswers, at: int) -> list[Finding]:
    state = campaign.state
    state.run += 1
    collapse = state.collapse = _start(state.cusum, state.run, AlertState.FIRING, at)
    state.pending.forget()
    findings: list[Finding] = [collapse_alert(campaign, campaign.subject, collapse, at)]
    for number in sorted(state.collapses):
        own = state.collapses[number]
        if own.state is AlertState.FIRING and own.since >= collapse.since - LOOK_BACK:
            subject = Subject(SubjectKind.NUMBER, number)
            lifted = lift(campaign, subject, own)
            own.state = AlertState.INHIBITED
            own.sequence += 1
            findings.append(collapse_alert(campaign, subject, own, at, _inhibited_by(campaign, collapse)))
            findings += lifted
    return findings


def _resolve_campaign(campaign: CampaignAnswers, at: int) -> list[Finding]:
    state = campaign.state
    collapse = state.collapse
    assert collapse is not None
    collapse.sequence += 1
    state.collapse = None
    findings: list[Finding] = [resolved_alert(campaign, campaign.subject, collapse, at)]
    for number in sorted(state.collapses):
        own = state.collapses[number]
        # A number that leans to recovery waits for its own calls to tell; see _reconsider.
        if own.state is AlertState.INHIBITED and own.recovery < DOUBTFUL:
            findings += _fire_again(campaign, Subject(SubjectKind.NUMBER, number), own, at)
    return findings


def _fire_number(campaign: CampaignAnswers, number: NumberAnswers, at: int) -> list[Finding]:
    state, above = number.state, campaign.state.collapse
    state.run += 1
    inhibited = above is not None
    kind = AlertState.INHIBITED if inhibited else AlertState.FIRING
    collapse = campaign.state.collapses[number.number] = _start(state.cusum, state.run, kind, at)
    state.pending.forget()
    if above is not None:
        return [collapse_alert(campaign, number.subject, collapse, at, _inhibited_by(campaign, above))]
    return _tell(campaign, number.subject, collapse, at)


def _fire_again(campaign: CampaignAnswers, subject: Subject, collapse: Collapse, at: int) -> list[Finding]:
    collapse.state = AlertState.FIRING
    collapse.sequence += 1
    return _tell(campaign, subject, collapse, at)


def _tell(campaign: CampaignAnswers, subject: Subject, collapse: Collapse, at: int) -> list[Finding]:
    suppression, evidence = suppress(campaign, subject, collapse, at)
    alert = collapse_alert(campaign, subject, collapse, at, evidence)
    return [alert] if suppression is None else [alert, suppression]


def _resolve_number(campaign: CampaignAnswers, number: NumberAnswers, collapse: Collapse, at: int) -> list[Finding]:
    del campaign.state.collapses[number.number]
    collapse.sequence += 1
    return [resolved_alert(campaign, number.subject, collapse, at), *lift(campaign, number.subject, collapse)]


def _reconsider(campaign: CampaignAnswers, subject: Subject, collapse: Collapse, at: int) -> list[Finding]:
    """Fire again what nobody inhibits any more and is down after all; renew a suppression that ended too soon."""
    if collapse.state is AlertState.INHIBITED:
        if campaign.state.collapse is None and collapse.recovery == 0:
            return _fire_again(campaign, subject, collapse, at)
        return NOTHING
    if collapse.until is not None and at < collapse.until:
        collapse.tried = 0
        return NOTHING
    if collapse.tried < campaign.settings.recovery_calls or collapse.recovery >= DOUBTFUL:
        return NOTHING
    suppression, _ = suppress(campaign, subject, collapse, at)
    collapse.tried = 0
    return NOTHING if suppression is None else [suppression]


def _inhibited_by(campaign: CampaignAnswers, above: Collapse) -> Evidence:
    return {"inhibited_by": id_of(campaign, campaign.subject, above.run), "suppressed": False}
