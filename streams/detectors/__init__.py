"""One rule per file. A detector is a pure function of the facts it is fed, in their order."""

from __future__ import annotations

from streams.detectors.answer_rate_collapse import step
from streams.detectors.answer_states import CampaignAnswers, NumberAnswers
from streams.detectors.answer_status import describe_campaign, describe_number
from streams.detectors.finding import NOTHING, Finding, Lifted
from streams.detectors.opt_out import ContactOptOut
from streams.detectors.volume_spike import VolumeSpike

__all__ = [
    "NOTHING",
    "CampaignAnswers",
    "ContactOptOut",
    "Finding",
    "Lifted",
    "NumberAnswers",
    "VolumeSpike",
    "describe_campaign",
    "describe_number",
    "step",
]
