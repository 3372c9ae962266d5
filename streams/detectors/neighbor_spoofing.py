"""The rule `neighbor_spoofing`: own prefixes follow the called prefixes more than chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.numbers import NeighborSpoofing as Settings
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.prefix_matches import Matches, is_same_exchange, matches_of, ten_digits
from streams.detectors.wilson import shown_interval

_TEXT: Final = RuleText(
    rule="neighbor_spoofing",
    source=(
        "Twilio, Recommendations and Best Practices for Maintaining a Positive Caller Reputation (older text of "
        "support.twilio.com/hc/en-us/articles/1260803371030): avoid calls that mirror the first digits of the number "
        "called, which call screening watches for. 47 CFR 64.1604(a), in force since 19 August 2011 (76 FR 43196), "
        "amended on 30 August 2019 (84 FR 45678): no misleading caller ID with the intent to defraud, cause harm or "
        "wrongfully obtain anything of value."
    ),
    what_to_do={
        SubjectKind.CAMPAIGN: (
            "Look at how the dialer chooses its number: let it not choose by the exchange of the person called. One "
            "number for an area, or one for all, answers as well and is not taken for spoofing."
        )
    },
)

CALM = 1e-2
"""A block is calm if chance alone gives as many matches this often; between this and the firing level nothing changes,
so that an alert does not come and go."""

NUMBERS_TOLD = 10
"""Numbers named in the evidence, those with most matches first."""


class _State(DetectorState, array_like=True):
    block: dict[int, int] = msgspec.field(default_factory=dict)
    began_at: int = 0
    last: Matches | None = None


class NeighborSpoofing(Detector[Settings, _State]):
    """A campaign whose numbers are chosen to share area code and exchange with the person called.

    Use it where a dialer may choose the number it calls from. People called are taken in blocks, each person once a
    block, and each block is looked at once, when it is full: so many blocks, so many looks, each at its own level. The
    rule fires if more people were called from their own exchange (NPA-NXX) than chance explains, given which numbers
    call into each area code and who is called there. Numbers chosen by area code alone do not fire; how many there were
    is told. It resolves with the first block that is calm. A number by itself cannot be judged, as nobody chose it from
    among others; the campaign's alert names the numbers.

    Args:
        settings: the rule's settings; `block_contacts` and `least_matches` in people.
        subject: the campaign.
        state: what was kept of it.

    References:
        Barbour, A. D., Holst, L., Janson, S. (1992), Poisson Approximation, Clarendon Press, Oxford.

    >>> from schemas.alert import Subject
    >>> rule = NeighborSpoofing(Settings(), Subject(SubjectKind.CAMPAIGN, "spring-sale"))
    >>> rule.describe(0)["state"]
    'no_data'
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = _State
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CAMPAIGN})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    # One block.
    LEAST: ClassVar[int] = 300

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one placed call."""
        if not self.settings.enabled:
            return NOTHING
        state = self.state
        block = state.block
        contact = ten_digits(fact.contact)
        if contact is None or contact in block:
            return NOTHING
        own = ten_digits(fact.number)
        if own is None:
            return NOTHING
        at = fact.after.attempted_at
        state.began_at = min(state.began_at, at) if block else at
        block[contact] = own
        if len(block) < self.settings.block_contacts:
            return NOTHING
        state.block = {}
        return self._look(fact, block)

    def describe(self, at: int) -> dict[str, object]:  # noqa: ARG002 - blocks end by people, not by time
        """The state as the API shows it; shares are those of the last full block.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
        """
        state = self.state
        last = state.last
        seen = "learning" if state.block else "no_data"
        return {
            "state": self.word(seen if last is None else "ok"),
            "contacts": None if last is None else last.contacts,
            "exchange_matches": None if last is None else last.exchange_matches,
            "expected": None if last is None else round(last.expected, 2),
            "area_matches": None if last is None else last.area_matches,
            "block_contacts": len(state.block),
            "since": state.episode.since_iso,
        }

    def _look(self, fact: CallFact, block: dict[int, int]) -> Sequence[Finding]:
        settings, state = self.settings, self.state
        found = state.last = matches_of(block.items())
        whose = f"Campaign {self.subject.value}"
        counts = f"{found.exchange_matches} of {found.contacts} people were called from their own exchange"
        if state.episode.is_firing:
            if found.chance < CALM:
                return NOTHING
            return [
                self.resolve(
                    at=fact.at,
                    message=f"{whose} no longer chooses its numbers by exchange: {counts}.",
                    evidence=self._evidence(found, block),
                )
            ]
        if found.exchange_matches < settings.least_matches or found.chance >= settings.tail_probability:
            return NOTHING
        return [
            self.fire(
                at=fact.at,
                since=state.began_at,
                message=(
                    f"{whose} seems to choose its numbers by exchange: {counts}, where chance gives "
                    f"{found.expected:.1f}."
                ),
                evidence=self._evidence(found, block),
            )
        ]

    def _evidence(self, found: Matches, block: dict[int, int]) -> Evidence:
        matched = Counter(own for contact, own in block.items() if is_same_exchange(contact, own))
        # By number where counts are equal, so that the order does not hang on that of the calls.
        most = sorted(matched.items(), key=lambda item: (-item[1], item[0]))[:NUMBERS_TOLD]
        return {
            "contacts": found.contacts,
            "exchange_matches": found.exchange_matches,
            "expected": round(found.expected, 2),
            "share": round(found.exchange_matches / found.contacts, 4),
            "interval": shown_interval(found.exchange_matches, found.contacts),
            "area_matches": found.area_matches,
            "chance": found.chance,
            "tail_probability": self.settings.tail_probability,
            "numbers": {f"+1{number:010d}": count for number, count in most},
            "campaign": self.subject.value,
        }
