"""The rule `blocked_calls`: carriers block a number's or a campaign's calls."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import SEIZURES, CallFact, Disposition, FactKind
from schemas.rule_settings.shares import ShareSettings
from streams.detectors.episode import RuleText
from streams.detectors.share_rule import Bands, ShareRule


class BlockedCalls(ShareRule):
    """The share of calls that end with SIP 603, 607 or 608, of all that reached the network.

    Carriers' analytics block calls with these codes; since 25 March 2026 with 603 alone in the United States. A person
    who rejects a call may give 603 too, which is why the share is held against its own past.

    References:
        FCC 25-15, 90 FR 13416 (in force 25 March 2026): SIP 603+ is the code for analytics-based blocking.
    """

    RULE: ClassVar[str] = "blocked_calls"
    TEXT: ClassVar[RuleText] = RuleText(
        rule="blocked_calls",
        source=(
            "FCC 25-15, 90 FR 13416, in force 25 March 2026: carriers block by analytics with SIP 603; 607 and 608 "
            "before. "
            "Twilio's Trust and Engagement Insights count the same."
        ),
        what_to_do={
            SubjectKind.NUMBER: (
                "Rest the number; look up its label with the carriers' analytics and its Trust Hub and Voice Integrity "
                "registration, and ask the carrier for redress before using it again."
            ),
            SubjectKind.CAMPAIGN: (
                "Look at what the campaign's calls share: the script, the list, the hours, the attestation; slow it "
                "down and "
                "ask the carriers that block for redress."
            ),
        },
    )
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED})
    HITS: ClassVar[str] = "blocked calls"
    TRIALS: ClassVar[str] = "calls that reached the network"
    BANDS: ClassVar[Bands] = ((0.03, "low"), (0.05, "medium"))

    @staticmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:  # noqa: ARG004 - the same for all share rules
        """Whether an ended call was blocked; None if it did not reach the network."""
        disposition = fact.after.disposition
        return disposition is Disposition.BLOCKED if disposition in SEIZURES else None
