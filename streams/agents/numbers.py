"""The stage of numbers: facts of `calls`, keyed by the company's own number."""

from __future__ import annotations

from collections.abc import MutableMapping

from schemas.alert import SubjectKind
from schemas.settings import Settings
from schemas.topics import CALLS
from streams.agents.choices import OF_NUMBERS
from streams.agents.subject import SubjectStage


def numbers_stage(settings: Settings, data: MutableMapping[bytes, bytes]) -> SubjectStage:
    """Count numbers, watch their volume, and how they are used and registered."""
    return SubjectStage("numbers", CALLS, SubjectKind.NUMBER, settings, data, OF_NUMBERS)
