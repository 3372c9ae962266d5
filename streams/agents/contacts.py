"""The stage of contacts: opt-outs of `optouts` and facts of `contacts`, both keyed by the person called."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.call import CallFact, Contribution, Direction, FactKind, Origin
from schemas.log import NewRecord, Record
from schemas.opt_out import OptOut
from schemas.rules import OptOutRule
from schemas.settings import Settings
from schemas.times import DAY, SECOND
from schemas.topics import CAMPAIGNS, CONTACTS, OPTOUTS, Topic
from streams.agents.bundle import Bundle, Choice, Packed
from streams.agents.choices import OF_CONTACTS
from streams.agents.findings import as_records
from streams.agents.stage import Effects, States, apply_each, cached_of
from streams.agents.subject import AppliedOrigins
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.opt_out import ContactOptOut
from streams.windows.packing import pack, unpack

_VERSION: Final = 2
_BEFORE_FACTS: Final = 1

FORGET_AFTER: Final = 60 * DAY
"""Silence after which a person starts anew: twice the longest window of a rule."""

# Keys looked at for removal after each slice: a million people are through in some hours of traffic.
KEYS_A_SWEEP: Final = 64


class _Packed(msgspec.Struct, array_like=True):
    partition: int
    applied: int
    opt_out: bytes
    told: bool
    origins: AppliedOrigins
    watermarks: dict[int, int]
    late: int
    detectors: Packed


class _PackedBeforeFacts(msgspec.Struct, array_like=True):
    applied: int
    opt_out: bytes


_decoder = msgspec.msgpack.Decoder(_Packed)
_decoder_before_facts = msgspec.msgpack.Decoder(_PackedBeforeFacts)


class ContactState:
    """What is kept of one person.

    Args:
        contact: the person.
        rule: settings of `opt_out`.
        choice: the detectors that look at people.

    Attributes:
        partition: of the sources, which the person hashes to.
        applied: offset of the last signal of `optouts` applied.
        opt_out: the rule's state; opt-outs never expire.
        told: whether a campaign has been told that the person opted out.
        origins: what of the facts has been applied.
        watermarks: the highest event time of the person's facts, by partition of `callbacks`.
        late: facts that came too late for the detectors.
        detectors: the rules that look at facts.
    """

    __slots__ = ("applied", "detectors", "late", "opt_out", "origins", "partition", "told", "watermarks")

    def __init__(self, contact: str, rule: OptOutRule, choice: Choice) -> None:
        self.partition = 0
        self.applied = -1
        self.opt_out = ContactOptOut(rule, contact)
        self.told = False
        self.origins = AppliedOrigins({})
        self.watermarks: dict[int, int] = {}
        self.late = 0
        self.detectors = Bundle(choice, Subject(SubjectKind.CONTACT, contact))

    def apply(self, fact: CallFact, lateness: int) -> Sequence[Finding]:
        """Take in a fact once; give what the detectors find in it, if it is not too late for them.

        Late is what lies further behind the watermark of its partition than the lateness; as with rolling counts, each
        partition has a watermark of its own.
        """
        if not self.origins.is_new(fact.origin):
            return NOTHING
        partition = fact.origin.partition
        watermark = self.watermarks.get(partition)
        if watermark is not None and fact.at < watermark - lateness:
            self.late += 1
            return NOTHING
        if watermark is None or fact.at > watermark:
            self.watermarks[partition] = fact.at
        return self.detectors.update(fact)

    def is_forgotten(self, now: int) -> bool:
        """Whether nothing is left to remember of the person at an event time.

        Opt-outs and do-not-call lists are for good. A person whom a rule has fired on is kept, or the ids of the next
        alerts would be those of the last.
        """
        silent = bool(self.watermarks) and now > max(self.watermarks.values()) + FORGET_AFTER
        return silent and self.opt_out.is_untouched and not self.detectors.runs

    def describe(self, at: int, campaign: str) -> dict[str, dict[str, object]]:
        """What the rules say of the person, by rule.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
            campaign: whose settings hold.
        """
        return {"opt_out": self.opt_out.describe(), **self.detectors.describe(at, campaign)}

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(
            _VERSION,
            _Packed(
                self.partition,
                self.applied,
                b"" if self.opt_out.is_untouched else self.opt_out.to_bytes(),
                self.told,
                self.origins,
                dict(sorted(self.watermarks.items())),
                self.late,
                self.detectors.pack(),
            ),
        )

    @classmethod
    def from_bytes(cls, data: bytes, contact: str, rule: OptOutRule, choice: Choice) -> ContactState:
        """The state from its bytes; those of version 1 have opt-outs alone.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        state = cls(contact, rule, choice)
        what = f"state of contact {contact}"
        if data[:1] == bytes((_BEFORE_FACTS,)):
            before = unpack(_BEFORE_FACTS, _decoder_before_facts, data, what)
            state.applied = before.applied
            state.opt_out = ContactOptOut.from_bytes(before.opt_out, rule, contact)
            # Whoever had opted out by then is no news to a campaign.
            state.told = bool(state.opt_out.state.channels)
            return state
        packed = unpack(_VERSION, _decoder, data, what)
        state.partition = packed.partition
        state.applied = packed.applied
        if packed.opt_out:
            state.opt_out = ContactOptOut.from_bytes(packed.opt_out, rule, contact)
        state.told = packed.told
        state.origins = packed.origins
        state.watermarks = packed.watermarks
        state.late = packed.late
        state.detectors = Bundle(choice, state.detectors.subject, packed.detectors)
        return state


class ContactsStage:
    """Watch for opt-outs, and for calls that a person should not have had.

    Args:
        settings: lateness and rules.
        data: the table's data.
    """

    name = "contacts"
    sources: tuple[Topic, ...] = (OPTOUTS, CONTACTS)

    def __init__(self, settings: Settings, data: MutableMapping[bytes, bytes]) -> None:
        rule = settings.rules.opt_out
        self._rule = rule
        self._of_campaign = {name: rule.of_campaign(name) for name in rule.campaigns}
        self._choice = Choice(SubjectKind.CONTACT, OF_CONTACTS, settings.rules)
        self._lateness = round(settings.lateness_seconds * SECOND)
        self._data = data
        self._states: States[ContactState] = States(
            data,
            decode=self._decode,
            encode=ContactState.to_bytes,
            create=self._create,
            cached=cached_of(settings.partitions),
        )
        self._newest = 0
        self._to_sweep: list[bytes] = []

    def _decode(self, key: bytes, packed: bytes) -> ContactState:
        return ContactState.from_bytes(packed, key.decode(), self._rule, self._choice)

    def _create(self, key: bytes) -> ContactState:
        return ContactState(key.decode(), self._rule, self._choice)

    def process(self, records: Sequence[Record]) -> Effects:
        """Apply signals or facts of one partition, in order of offset."""
        if not records:
            return Effects()
        apply = self._apply_signal if records[0].topic == OPTOUTS.name else self._apply_fact
        emissions = apply_each(records, apply, self.forget)
        partition = records[0].partition
        self._sweep(partition)
        changes, removals = self._states.flush(partition)
        return Effects(emissions, [*changes, *removals])

    def _apply_signal(self, record: Record) -> Iterable[NewRecord]:
        signal = OptOut.decode(record.value or b"")
        state = self._states.touch(signal.contact.encode())
        if record.offset <= state.applied:
            return ()
        state.partition = record.partition
        state.applied = record.offset
        state.opt_out.settings = self._of_campaign.get(signal.campaign or "", self._rule)
        before = state.opt_out.state.opt_outs
        emissions = as_records(state.opt_out.update(signal), record)
        if not state.opt_out.state.channels:
            # Opted back in: the next opt-out is news to its campaign again.
            state.told = False
        elif state.opt_out.state.opt_outs > before and signal.campaign is not None and not state.told:
            state.told = True
            return [*emissions, _as_fact(signal, signal.campaign, record)]
        return emissions

    def _apply_fact(self, record: Record) -> Iterable[NewRecord]:
        fact = CallFact.decode(record.value or b"")
        if not fact.counted:
            return ()
        key = record.key or b""
        self._newest = max(self._newest, fact.at)
        state = self._states.touch(key)
        if state.is_forgotten(fact.at):
            fresh = self._create(key)
            fresh.applied, fresh.origins = state.applied, state.origins
            state = self._states.replace(key, fresh)
        state.partition = record.partition
        return as_records(state.apply(fact, self._lateness), record)

    def _sweep(self, partition: int) -> None:
        """Remove people silent for so long that their next fact would start anew anyway."""
        if not self._to_sweep:
            self._to_sweep = [key for key, _ in self._states.stored()]
        for _ in range(min(KEYS_A_SWEEP, len(self._to_sweep))):
            key = self._to_sweep.pop()
            packed = self._data.get(key)
            # One that this very slice has moved is not silent, however old its calls are.
            if packed is None or self._states.is_touched(key):
                continue
            # Not by way of the cache, which is for those who are called.
            state = self._decode(key, packed)
            if state.partition == partition and state.is_forgotten(self._newest - DAY):
                self._states.remove(key)

    def forget(self) -> None:
        """Drop what was derived from the table's data."""
        self._states.abandon()


def _as_fact(signal: OptOut, campaign: str, record: Record) -> NewRecord:
    """Tell a campaign that somebody opted out of it.

    Its origin is in a partition of its own, below zero, as it comes from `optouts` and no callback.
    """
    fact = CallFact(
        fact=FactKind.OPTED_OUT,
        revision=0,
        origin=Origin(-1 - record.partition, record.offset, 0),
        at=signal.at,
        call_sid=signal.sid or "",
        account_sid=signal.account_sid,
        number=signal.number or "",
        contact=signal.contact,
        campaign=campaign,
        direction=Direction.UNKNOWN,
        counted=True,
        after=Contribution(attempted_at=signal.at),
    )
    return NewRecord(CAMPAIGNS.name, campaign.encode(), fact.encode(), timestamp=record.timestamp)
