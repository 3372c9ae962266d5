"""Tables of stages, made comparable."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.alert import SubjectKind
from schemas.rules import Rules
from streams.agents.bundle import Choice
from streams.agents.campaigns import CampaignState, name_of_campaign
from streams.agents.choices import OF_CAMPAIGNS


def campaign_state(packed: bytes, name: str, rules: Rules) -> CampaignState:
    """A campaign's state from its bytes."""
    return CampaignState.from_bytes(packed, name, 0, rules, Choice(SubjectKind.CAMPAIGN, OF_CAMPAIGNS, rules))


def without_pending(table: Mapping[bytes, bytes], rules: Rules) -> dict[bytes, bytes]:
    """The states; which numbers a campaign moved last depends on the slices, and is taken off.

    A campaign's state carries the numbers that the last slice moved, so that a crash between two writes can be put
    right: these are copies of what stands under the numbers' own keys, and those are compared.
    """
    comparable = dict(table)
    for key, packed in table.items():
        name = name_of_campaign(key)
        if name is not None:
            state = campaign_state(packed, name, rules)
            state.moved = {}
            comparable[key] = state.to_bytes()
    return comparable
