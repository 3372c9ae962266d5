"""What all detectors of one subject have in common, for rules that look at one fact after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import msgspec

from schemas.alert import Alert, Evidence, Severity, Subject, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.base import RuleSettings
from streams.detectors.episode import Episode, RuleText, fire, resolve, tell
from streams.detectors.finding import Finding
from streams.windows.packing import pack, unpack

VERSION = 1

SettingsT = TypeVar("SettingsT", bound=RuleSettings)


class DetectorState(msgspec.Struct, array_like=True):
    """What every detector keeps; a detector's own state adds fields after it, each with a default.

    Attributes:
        episode: the alert under way, and how many there have been.
    """

    episode: Episode = msgspec.field(default_factory=Episode)


StateT = TypeVar("StateT", bound=DetectorState)


class Detector(ABC, Generic[SettingsT, StateT]):
    """One rule on one subject: a pure function of the subject's facts, in their order.

    A detector knows no clock. It is shown the facts that are on time and counted, each once, in the order of their log,
    and of the kinds that it asks for.

    Args:
        settings: the rule's settings, as they hold for the campaign of the fact to come.
        subject: the number, campaign, contact or account.
        state: what was kept of it; None for a subject that is new.

    Attributes:
        RULE: the rule's name.
        TEXT: what its alerts say of it; unset where a rule has alerts of several kinds.
        STATE: the type of its state.
        SUBJECTS: the kinds of subject that it looks at.
        FACTS: the kinds of fact that it wants to see.
        LEAST: how many facts there must have been, at the default settings, before it can fire at all.
    """

    RULE: ClassVar[str]
    TEXT: ClassVar[RuleText]
    STATE: ClassVar[type[DetectorState]]
    SUBJECTS: ClassVar[frozenset[SubjectKind]]
    FACTS: ClassVar[frozenset[FactKind]]
    LEAST: ClassVar[int]

    __slots__ = ("settings", "state", "subject")

    def __init__(self, settings: SettingsT, subject: Subject, state: StateT | None = None) -> None:
        self.settings = settings
        self.subject = subject
        self.state: StateT = cast("StateT", self.STATE()) if state is None else state

    @abstractmethod
    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one fact of a kind in `FACTS`; give what it brought to light, mostly nothing."""

    @abstractmethod
    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it: `state` (off, no_data, learning, ok, firing), counts, `since`.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
        """

    @property
    def severity(self) -> Severity:
        """How grave it is what the alert under way speaks of."""
        return self.settings.severity

    def word(self, otherwise: str) -> str:
        """What `describe` gives for `state`.

        Args:
            otherwise: the word for a rule that is on and has no alert under way: no_data, learning or ok.
        """
        if not self.settings.enabled:
            return "off"
        return "firing" if self.state.episode.is_firing else otherwise

    def fire(
        self, *, at: int, since: int, message: str, evidence: Evidence, scope: str = "", inhibited: bool = False
    ) -> Alert:
        """Begin a run and give its first transition; the arguments are those of `episode.fire`."""
        return fire(
            self.state.episode,
            self.TEXT,
            self.severity,
            self.subject,
            at=at,
            since=since,
            message=message,
            evidence=evidence,
            scope=scope,
            inhibited=inhibited,
        )

    def tell(self, *, at: int, message: str, evidence: Evidence, scope: str = "", inhibited: bool = False) -> Alert:
        """Give the next transition of the run under way."""
        return tell(
            self.state.episode,
            self.TEXT,
            self.severity,
            self.subject,
            at=at,
            message=message,
            evidence=evidence,
            scope=scope,
            inhibited=inhibited,
        )

    def resolve(self, *, at: int, message: str, evidence: Evidence, scope: str = "") -> Alert:
        """End the run under way and give its last transition."""
        return resolve(
            self.state.episode,
            self.TEXT,
            self.severity,
            self.subject,
            at=at,
            message=message,
            evidence=evidence,
            scope=scope,
        )

    @property
    def runs(self) -> int:
        """How often the rule has fired; a state with runs must be kept, or alert ids would repeat."""
        return self.state.episode.runs

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(VERSION, self.state)

    @classmethod
    def from_bytes(cls, data: bytes, settings: SettingsT, subject: Subject) -> Self:
        """The state from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        return cls(settings, subject, cast("StateT", unpack(VERSION, decoder_of(cls.STATE), data, f"{cls.RULE}")))


_decoders: dict[type[DetectorState], msgspec.msgpack.Decoder[Any]] = {}


def decoder_of(state: type[DetectorState]) -> msgspec.msgpack.Decoder[Any]:
    """The decoder of a state's type, made once."""
    found = _decoders.get(state)
    if found is None:
        found = _decoders[state] = msgspec.msgpack.Decoder(state)
    return found
