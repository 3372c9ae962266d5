"""The stage of campaigns: facts of `campaigns`, keyed by campaign.

All of a campaign's calls come to one place in one order, so that a number can be held against its campaign's other
numbers, and a campaign's collapse can inhibit those of its numbers, as a function of this one log.

A fact moves the campaign and one of its numbers. The two are kept under keys of their own, which are not written at one
stroke. So a campaign's state carries the states of the numbers it moved since it was last written, and is written
before them: what a crash left behind is put right when the campaign is next read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from itertools import chain
from typing import Final

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.call import ANSWERS, SEIZURES, CallFact, FactKind
from schemas.log import NewRecord, Record
from schemas.rules import Rules
from schemas.settings import Settings
from schemas.times import DAY, SECOND
from schemas.topics import CAMPAIGNS, Topic
from streams.agents.bundle import NO_DETECTORS, Bundle, Choice, Packed
from streams.agents.choices import OF_CAMPAIGNS, ShareRules
from streams.agents.findings import as_records
from streams.agents.stage import Effects, StateChange, States, apply_each, cached_of
from streams.agents.subject import FORGET_AFTER, KEYS_A_SWEEP, AppliedOrigins, look_for_spike
from streams.detectors.answer_rate_collapse import step
from streams.detectors.answer_states import CampaignAnswers, NumberAnswers
from streams.detectors.campaign_cap import CampaignCap
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.held_numbers import HeldNumbers
from streams.detectors.no_answer_streak import NoAnswerStreak, StreakState
from streams.detectors.rising_share import ShareState
from streams.detectors.rising_share import step as step_share
from streams.detectors.volume_spike import VolumeSpike
from streams.windows.packing import pack, unpack
from streams.windows.rolling import RollingCounts

_VERSION: Final = 1
_CAMPAIGN: Final = b"c\x00"
_NUMBER: Final = b"n\x00"


def campaign_key(campaign: str) -> bytes:
    """The table's key of a campaign."""
    return _CAMPAIGN + campaign.encode()


def number_key(campaign: str, number: str) -> bytes:
    """The table's key of a number in a campaign."""
    return _NUMBER + campaign.encode() + b"\x00" + number.encode()


def name_of_campaign(key: bytes) -> str | None:
    """The campaign that a table's key stands for; None for the key of a number."""
    return key.removeprefix(_CAMPAIGN).decode() if key.startswith(_CAMPAIGN) else None


def campaign_and_number(key: bytes) -> tuple[str, str] | None:
    """The campaign and number that a table's key stands for; None for the key of a campaign."""
    if not key.startswith(_NUMBER):
        return None
    campaign, number = key.removeprefix(_NUMBER).decode().split("\x00", 1)
    return campaign, number


def _named(key: bytes) -> tuple[str, str]:
    named = campaign_and_number(key)
    assert named is not None
    return named


class _PackedCampaign(msgspec.Struct, array_like=True):
    partition: int
    applied: AppliedOrigins
    counts: bytes
    spike: bytes
    answers: bytes
    moved: dict[str, bytes]
    shares: dict[str, ShareState] = {}
    held: HeldNumbers = msgspec.field(default_factory=HeldNumbers)
    detectors: Packed = {}


class _PackedNumber(msgspec.Struct, array_like=True):
    partition: int
    last_at: int
    answers: bytes
    streak: StreakState = msgspec.field(default_factory=StreakState)
    shares: dict[str, ShareState] = {}


_campaign_decoder = msgspec.msgpack.Decoder(_PackedCampaign)
_number_decoder = msgspec.msgpack.Decoder(_PackedNumber)


class CampaignState:
    """Rolling counts and detectors of one campaign.

    Args:
        campaign: its name.
        lateness: how late a fact may be and still count, in milliseconds.
        rules: settings of all rules; the campaign's own values are taken from them.
        choice: the detectors that look at campaigns.
    """

    __slots__ = (
        "answers",
        "applied",
        "campaign",
        "cap",
        "counts",
        "detectors",
        "moved",
        "partition",
        "shares",
        "spike",
        "subject",
    )

    def __init__(self, campaign: str, lateness: int, rules: Rules, choice: Choice = NO_DETECTORS) -> None:
        self.campaign = campaign
        self.partition = 0
        self.applied = AppliedOrigins({})
        self.counts = RollingCounts(lateness)
        self.subject = Subject(SubjectKind.CAMPAIGN, campaign)
        self.spike = VolumeSpike(rules.volume_spike.of_campaign(campaign), self.subject, lateness)
        self.answers = CampaignAnswers(rules.answer_rate_collapse.of_campaign(campaign), campaign)
        self.cap = CampaignCap(self.answers)
        self.moved: dict[str, bytes] = {}
        self.shares: dict[str, ShareState] = {}
        self.detectors = Bundle(choice, self.subject)

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(
            _VERSION,
            _PackedCampaign(
                self.partition,
                self.applied,
                self.counts.to_bytes(),
                self.spike.to_bytes(),
                self.answers.to_bytes(),
                self.moved,
                self.shares,
                self.answers.held,
                self.detectors.pack(),
            ),
        )

    @classmethod
    def from_bytes(
        cls, data: bytes, campaign: str, lateness: int, rules: Rules, choice: Choice = NO_DETECTORS
    ) -> CampaignState:
        """The state from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        packed = unpack(_VERSION, _campaign_decoder, data, f"state of campaign {campaign}")
        state = cls.__new__(cls)
        state.campaign = campaign
        state.partition = packed.partition
        state.applied = packed.applied
        state.counts = RollingCounts.from_bytes(packed.counts, lateness)
        subject = state.subject = Subject(SubjectKind.CAMPAIGN, campaign)
        state.spike = VolumeSpike.from_bytes(packed.spike, rules.volume_spike.of_campaign(campaign), subject, lateness)
        state.answers = CampaignAnswers.from_bytes(
            packed.answers, rules.answer_rate_collapse.of_campaign(campaign), campaign
        )
        state.answers.held = packed.held
        state.cap = CampaignCap(state.answers)
        state.moved = packed.moved
        state.shares = packed.shares
        state.detectors = Bundle(choice, subject, packed.detectors)
        return state


class NumberState:
    """How a number's calls in one campaign go.

    Args:
        answers: state of `answer_rate_collapse`.
        streak: state of `no_answer_streak`.
        shares: states of the rules about shares, by rule.
        partition: of `campaigns`, which the campaign hashes to.
        last_at: event time of the number's last call in the campaign.
    """

    __slots__ = ("answers", "last_at", "partition", "shares", "streak")

    def __init__(
        self,
        answers: NumberAnswers,
        streak: NoAnswerStreak,
        shares: dict[str, ShareState],
        partition: int,
        last_at: int,
    ) -> None:
        self.answers = answers
        self.streak = streak
        self.shares = shares
        self.partition = partition
        self.last_at = last_at

    @property
    def runs(self) -> int:
        """How often any rule has fired on the number in the campaign."""
        return self.answers.runs + self.streak.runs + sum(share.episode.runs for share in self.shares.values())

    def is_forgotten(self, now: int) -> bool:
        """Whether the number starts anew: silent for long, and no alert of its past could be taken for a new one."""
        return now > self.last_at + FORGET_AFTER and self.runs == 0

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(
            _VERSION,
            _PackedNumber(self.partition, self.last_at, self.answers.to_bytes(), self.streak.state, self.shares),
        )


class CampaignsStage:
    """Count campaigns, watch their volume, and how they and their numbers are answered.

    Args:
        settings: lateness and rules.
        data: the table's data.
    """

    name = "campaigns"
    sources: tuple[Topic, ...] = (CAMPAIGNS,)

    def __init__(self, settings: Settings, data: MutableMapping[bytes, bytes]) -> None:
        self._lateness = round(settings.lateness_seconds * SECOND)
        self._rules = settings.rules
        self._shares = ShareRules(settings.rules)
        self._choice = Choice(SubjectKind.CAMPAIGN, OF_CAMPAIGNS, settings.rules)
        self._data = data
        cached = cached_of(settings.partitions)
        self._campaigns: States[CampaignState] = States(
            data,
            decode=self._read_campaign,
            encode=CampaignState.to_bytes,
            create=self._create_campaign,
            cached=cached,
        )
        self._numbers: States[NumberState] = States(
            data,
            decode=self._read_number,
            encode=NumberState.to_bytes,
            create=self._create_number,
            cached=cached,
        )
        self._put_right: dict[bytes, bytes] = {}
        self._newest = 0
        self._to_sweep: list[bytes] = []

    def forget(self) -> None:
        """Drop what was derived from the table's data."""
        self._campaigns.abandon()
        self._numbers.abandon()
        self._put_right.clear()

    def process(self, records: Sequence[Record]) -> Effects:
        """Apply facts of one partition, in order of offset."""
        if not records:
            return Effects()
        moved: dict[str, dict[str, None]] = {}
        emissions = apply_each(records, lambda record: self._apply(record, moved), self.forget)
        return Effects(emissions, self._flush(records[0].partition, moved))

    def _apply(self, record: Record, moved: dict[str, dict[str, None]]) -> Iterable[NewRecord]:
        fact = CallFact.decode(record.value or b"")
        if not fact.counted:
            return ()
        campaign = self._campaigns.touch(campaign_key(fact.campaign))
        campaign.partition = record.partition
        touched = moved.setdefault(campaign.campaign, {})
        if not campaign.applied.is_new(fact.origin):
            return ()
        self._newest = max(self._newest, fact.at)
        if fact.fact is FactKind.OPTED_OUT:
            return as_records(self._look_at_shares(campaign, fact, touched), record, fact.account_sid)
        applied = campaign.counts.apply(fact)
        findings = look_for_spike(campaign.spike, campaign.counts, applied.changes)
        if applied.late:
            return as_records(findings, record, fact.account_sid)
        more = (
            self._look_at_answers(campaign, fact, touched),
            self._look_at_shares(campaign, fact, touched),
            campaign.detectors.update(fact),
        )
        return as_records([*findings, *chain(*more)] if any(more) else findings, record, fact.account_sid)

    def _look_at_answers(self, campaign: CampaignState, fact: CallFact, touched: dict[str, None]) -> Sequence[Finding]:
        ended_at, disposition = fact.after.ended_at, fact.after.disposition
        if fact.fact is not FactKind.ENDED or ended_at is None or disposition not in SEIZURES:
            return NOTHING
        number = self._number(campaign, fact.number, ended_at)
        touched[fact.number] = None
        answered = disposition in ANSWERS
        findings = step(campaign.answers, number.answers, ended_at, answered)
        whole = campaign.answers.state
        told = whole.collapse is not None or number.answers.is_told(whole.collapses)
        found = number.streak.take(
            ended_at,
            answered,
            # While the fall is told of, another streak in it is no news.
            None if told else number.answers.expected,
            campaign=campaign.campaign,
            inhibited=told,
            cap=campaign.cap,
        )
        return [*findings, *found] if found else findings

    def _look_at_shares(self, campaign: CampaignState, fact: CallFact, touched: dict[str, None]) -> Sequence[Finding]:
        findings: Sequence[Finding] = NOTHING
        for rule, settings, hit in self._shares.trials(fact, campaign.campaign):
            own: tuple[Subject, ShareState] | None = None
            if SubjectKind.NUMBER in rule.SUBJECTS and fact.number:
                number = self._number(campaign, fact.number, fact.at)
                touched[fact.number] = None
                own = number.answers.subject, number.shares.setdefault(rule.RULE, ShareState())
            shared = campaign.shares.setdefault(rule.RULE, ShareState())
            found = step_share(
                rule,
                settings,
                (campaign.subject, shared),
                own,
                fact.at,
                hit,
                campaign.cap,
                grave=hit and rule.is_grave(fact, settings),
            )
            findings = [*findings, *found] if found else findings
        return findings

    def _number(self, campaign: CampaignState, number: str, at: int) -> NumberState:
        key = number_key(campaign.campaign, number)
        state = self._numbers.touch(key)
        if state.last_at and state.is_forgotten(at):
            state = self._numbers.replace(key, self._create_number(key))
        state.partition = campaign.partition
        state.last_at = max(state.last_at, at)
        return state

    def _flush(self, partition: int, moved: dict[str, dict[str, None]]) -> list[StateChange]:
        self._sweep(partition, moved)
        numbers, removals = self._numbers.flush(partition)
        for name, touched in moved.items():
            campaign = self._campaigns.touch(campaign_key(name))
            campaign.moved = {number: self._data[number_key(name, number)] for number in touched}
        campaigns, _ = self._campaigns.flush(partition)
        again = [StateChange(partition, key, packed) for key, packed in self._put_right.items()]
        self._put_right.clear()
        return [*again, *campaigns, *numbers, *removals]

    def _sweep(self, partition: int, moved: Mapping[str, Mapping[str, None]]) -> None:
        """Remove numbers that were silent for long; not those of this slice, however old its facts are."""
        if not self._to_sweep:
            self._to_sweep = [key for key, _ in self._numbers.stored() if key.startswith(_NUMBER)]
        for _ in range(min(KEYS_A_SWEEP, len(self._to_sweep))):
            key = self._to_sweep.pop()
            campaign, number = _named(key)
            state = self._numbers.get(key)
            if state is None or state.partition != partition or number in moved.get(campaign, ()):
                continue
            if state.is_forgotten(self._newest - DAY):
                self._numbers.remove(key)

    def _create_campaign(self, key: bytes) -> CampaignState:
        return CampaignState(key.removeprefix(_CAMPAIGN).decode(), self._lateness, self._rules, self._choice)

    def _read_campaign(self, key: bytes, packed: bytes) -> CampaignState:
        name = key.removeprefix(_CAMPAIGN).decode()
        state = CampaignState.from_bytes(packed, name, self._lateness, self._rules, self._choice)
        for number, own in state.moved.items():
            where = number_key(name, number)
            if self._data.get(where) != own:
                self._numbers.put_right(where, own)
                self._put_right[where] = own
        return state

    def _create_number(self, key: bytes) -> NumberState:
        campaign, number = _named(key)
        answers = NumberAnswers(self._rules.answer_rate_collapse.of_campaign(campaign), number, campaign)
        streak = NoAnswerStreak(self._rules.no_answer_streak.of_campaign(campaign), answers.subject)
        return NumberState(answers, streak, {}, partition=0, last_at=0)

    def _read_number(self, key: bytes, packed: bytes) -> NumberState:
        return read_number_state(key, packed, self._rules)


def read_number_state(key: bytes, packed: bytes, rules: Rules) -> NumberState:
    """A number's state in a campaign from its key and bytes.

    Raises:
        UnreadableStateError: the bytes are damaged, or of another version.
    """
    campaign, number = _named(key)
    rule = rules.answer_rate_collapse.of_campaign(campaign)
    found = unpack(_VERSION, _number_decoder, packed, f"state of number {number} in campaign {campaign}")
    answers = NumberAnswers.from_bytes(found.answers, rule, number, campaign)
    streak = NoAnswerStreak(rules.no_answer_streak.of_campaign(campaign), answers.subject, found.streak)
    return NumberState(answers, streak, found.shares, found.partition, found.last_at)
