"""What `missing_callbacks` says of its three kinds of alert."""

from __future__ import annotations

from typing import Final

from schemas.alert import SubjectKind
from streams.detectors.episode import RuleText

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

TEXTS: Final = {
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

WORDS: Final = {UNFINISHED: "never told of their end", GAPS: "have gaps between their callbacks"}
