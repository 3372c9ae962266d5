"""What a rule about a share of calls says of itself; `streams.detectors.rising_share` does the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from schemas.alert import SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.shares import ShareSettings
from streams.detectors.episode import RuleText

Bands = tuple[tuple[float, str], ...]
"""Upper ends of Twilio's published bands, from 0 to 1, and their words; past the last end it is "high"."""


class ShareRule(ABC):
    """A rule that watches how many of some calls are of a bad sort.

    Attributes:
        RULE: its name.
        TEXT: what its alerts say of it.
        FACTS: the kinds of fact that may be a trial.
        HITS: what a call of the bad sort is called, in the plural.
        TRIALS: what all of the calls are called, in the plural.
        GRAVE: under which name the evidence counts hits of a graver sort; None if there is no such thing.
        BANDS: Twilio's published bands, for display; no rule decides by them.
        SUBJECTS: whose calls are watched.
    """

    RULE: ClassVar[str]
    TEXT: ClassVar[RuleText]
    FACTS: ClassVar[frozenset[FactKind]]
    HITS: ClassVar[str]
    TRIALS: ClassVar[str]
    GRAVE: ClassVar[str | None] = None
    BANDS: ClassVar[Bands] = ()
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.NUMBER, SubjectKind.CAMPAIGN})

    @staticmethod
    @abstractmethod
    def trial(fact: CallFact, settings: ShareSettings) -> bool | None:
        """Whether a fact is a call of the bad sort; None if it says nothing about the share."""

    @staticmethod
    def is_grave(fact: CallFact, settings: ShareSettings) -> bool:  # noqa: ARG004 - for rules that have a graver sort
        """Whether a call of the bad sort is of the graver one."""
        return False

    @classmethod
    def band(cls, share: float) -> str | None:
        """The word of Twilio's band that a share lies in; None where Twilio has published none."""
        if not cls.BANDS:
            return None
        return next((word for end, word in cls.BANDS if share <= end), "high")
