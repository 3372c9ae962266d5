"""State and stage of a subject that is counted for itself: a number, or an account."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.call import CallFact, FactKind, Origin
from schemas.log import NewRecord, Record
from schemas.rules import VolumeSpike as VolumeSpikeSettings
from schemas.settings import Settings
from schemas.times import DAY, SECOND
from schemas.topics import Topic
from streams.agents.bundle import NO_DETECTORS, AnyDetector, Bundle, Choice, Packed
from streams.agents.findings import as_records
from streams.agents.stage import Effects, States, apply_each, cached_of
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.volume_spike import VolumeSpike
from streams.windows.packing import pack, unpack
from streams.windows.rolling import RollingCounts
from streams.windows.tally import ATTEMPTS, Change

_VERSION: Final = 1

FORGET_AFTER: Final = 60 * DAY
"""Silence after which a subject starts anew: longer than the 45 days of rest that a number gets between purposes."""

# Keys looked at for removal after each slice: a hundred thousand are through in some minutes of traffic.
KEYS_A_SWEEP: Final = 4


class AppliedOrigins(msgspec.Struct, array_like=True):
    """The highest origin applied, by partition of `callbacks`: what makes a repeated fact a no-op."""

    offsets: dict[int, tuple[int, int]] = {}

    def is_new(self, origin: Origin) -> bool:
        """Note an origin; False if it, or a later one of its partition, has been noted before."""
        place = (origin.offset, origin.index)
        if place <= self.offsets.get(origin.partition, (-1, -1)):
            return False
        self.offsets[origin.partition] = place
        return True


class _Packed(msgspec.Struct, array_like=True):
    partition: int
    applied: AppliedOrigins
    counts: bytes
    spike: bytes
    campaigns: list[str]
    detectors: Packed = {}


_decoder = msgspec.msgpack.Decoder(_Packed)

# What a page shows of a number; one that serves more campaigns than this is a matter for its own rule.
_CAMPAIGNS_KEPT = 8


class SubjectState:
    """Rolling counts and detectors of one number or account.

    Args:
        subject: the number or account.
        lateness: how late a fact may be and still count, in milliseconds.
        rule: settings of `volume_spike`; a number's are those of the campaign it called for last.
        choice: the detectors that look at subjects of this kind.
    """

    __slots__ = ("_rule", "applied", "campaigns", "counts", "detectors", "partition", "spike")

    def __init__(
        self, subject: Subject, lateness: int, rule: VolumeSpikeSettings, choice: Choice = NO_DETECTORS
    ) -> None:
        self._rule = rule
        self.partition = 0
        self.applied = AppliedOrigins({})
        self.counts = RollingCounts(lateness)
        self.spike = VolumeSpike(rule, subject, lateness)
        self.campaigns: list[str] = []
        self.detectors = Bundle(choice, subject)

    def apply(self, fact: CallFact) -> Sequence[Finding]:
        """Count a fact once; give what the detectors find in it."""
        if not self.applied.is_new(fact.origin):
            return NOTHING
        if fact.fact is FactKind.QUIET:
            return self.detectors.update(fact)
        applied = self.counts.apply(fact)
        if applied.late:
            return NOTHING
        if not self.campaigns or self.campaigns[-1] != fact.campaign:
            self._turn_to(fact.campaign)
        findings = look_for_spike(self.spike, self.counts, applied.changes)
        more = self.detectors.update(fact)
        return [*findings, *more] if more else findings

    def _turn_to(self, campaign: str) -> None:
        before = self.campaigns
        self.campaigns = [*(known for known in before if known != campaign), campaign][-_CAMPAIGNS_KEPT:]
        subject = self.spike.subject
        own = _rule_of(self._rule, subject, self.campaigns)
        if own is not self.spike.settings and own != self.spike.settings:
            self.spike = VolumeSpike.from_bytes(self.spike.to_bytes(), own, subject, self.counts.lateness)

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(
            _VERSION,
            _Packed(
                self.partition,
                self.applied,
                self.counts.to_bytes(),
                self.spike.to_bytes(),
                self.campaigns,
                self.detectors.pack(),
            ),
        )

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        subject: Subject,
        lateness: int,
        rule: VolumeSpikeSettings,
        choice: Choice = NO_DETECTORS,
    ) -> SubjectState:
        """The state from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        packed = unpack(_VERSION, _decoder, data, f"state of {subject.kind.value} {subject.value}")
        state = cls.__new__(cls)
        state._rule = rule  # noqa: SLF001 - a constructor of its own
        state.partition = packed.partition
        state.applied = packed.applied
        state.counts = RollingCounts.from_bytes(packed.counts, lateness)
        own = _rule_of(rule, subject, packed.campaigns)
        state.spike = VolumeSpike.from_bytes(packed.spike, own, subject, lateness)
        state.campaigns = packed.campaigns
        state.detectors = Bundle(choice, subject, packed.detectors)
        return state


def _rule_of(rule: VolumeSpikeSettings, subject: Subject, campaigns: Sequence[str]) -> VolumeSpikeSettings:
    if not rule.campaigns or subject.kind is not SubjectKind.NUMBER or not campaigns:
        return rule
    return rule.of_campaign(campaigns[-1])


def look_for_spike(spike: VolumeSpike, counts: RollingCounts, changes: Sequence[Change]) -> Sequence[Finding]:
    """Pass changed attempts on to `volume_spike`.

    Args:
        spike: of the subject.
        counts: of the subject, with the changes applied.
        changes: the counts that moved.
    """
    findings: Sequence[Finding] = NOTHING
    for at, cell, amount in changes:
        if cell == ATTEMPTS:
            watermark = counts.settled()
            assert watermark is not None
            found = spike.update(at, amount, watermark)
            findings = [*findings, *found] if found else findings
    return findings


class SubjectStage:
    """Count numbers or accounts, and watch their volume.

    Args:
        name: of the table.
        source: the topic of facts, keyed by the subject.
        kind: what the subjects are.
        settings: lateness and rules.
        data: the table's data.
        detectors: those that look at the subjects, beside `volume_spike`.
    """

    def __init__(
        self,
        name: str,
        source: Topic,
        kind: SubjectKind,
        settings: Settings,
        data: MutableMapping[bytes, bytes],
        detectors: Sequence[type[AnyDetector]] = (),
    ) -> None:
        self.name = name
        self.sources: tuple[Topic, ...] = (source,)
        lateness = round(settings.lateness_seconds * SECOND)
        rule = settings.rules.volume_spike
        choice = Choice(kind, detectors, settings.rules)

        def decode(key: bytes, packed: bytes) -> SubjectState:
            return SubjectState.from_bytes(packed, Subject(kind, key.decode()), lateness, rule, choice)

        def create(key: bytes) -> SubjectState:
            return SubjectState(Subject(kind, key.decode()), lateness, rule, choice)

        self._create = create
        self._states: States[SubjectState] = States(
            data,
            decode=decode,
            encode=SubjectState.to_bytes,
            create=create,
            cached=cached_of(settings.partitions),
        )
        self._newest = 0
        self._to_sweep: list[bytes] = []

    def process(self, records: Sequence[Record]) -> Effects:
        """Apply facts of one partition, in order of offset."""
        if not records:
            return Effects()
        emissions = apply_each(records, self._apply, self.forget)
        partition = records[0].partition
        self._sweep(partition)
        changes, removals = self._states.flush(partition)
        return Effects(emissions, [*changes, *removals])

    def _apply(self, record: Record) -> Iterable[NewRecord]:
        fact = CallFact.decode(record.value or b"")
        if not fact.counted:
            return ()
        key = record.key or b""
        self._newest = max(self._newest, fact.at)
        state = self._states.touch(key)
        if _is_forgotten(state, fact.at):
            fresh = self._create(key)
            fresh.applied = state.applied
            state = self._states.replace(key, fresh)
        state.partition = record.partition
        return as_records(state.apply(fact), record, fact.account_sid)

    def _sweep(self, partition: int) -> None:
        """Remove subjects silent for so long that their next fact would start anew anyway."""
        if not self._to_sweep:
            self._to_sweep = [key for key, _ in self._states.stored()]
        for _ in range(min(KEYS_A_SWEEP, len(self._to_sweep))):
            key = self._to_sweep.pop()
            state = self._states.get(key)
            # One that this very slice has moved is not silent, however old its calls are.
            if state is None or state.partition != partition or self._states.is_touched(key):
                continue
            if _is_forgotten(state, self._newest - DAY):
                self._states.remove(key)

    def forget(self) -> None:
        """Drop what was derived from the table's data."""
        self._states.abandon()


def _is_forgotten(state: SubjectState, now: int) -> bool:
    # A subject that has had alerts is kept, or the ids of its next ones would be those of its last.
    watermark = state.counts.watermark
    if watermark is None or now <= watermark + FORGET_AFTER:
        return False
    return state.spike.runs == 0 and state.detectors.runs == 0
