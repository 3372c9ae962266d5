"""What a simulation injected and how much it sent."""

from __future__ import annotations

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.times import DAY, SECOND, from_iso, to_iso


class Companion(msgspec.Struct, frozen=True):
    """Alerts that may come with an incident because they tell of the same thing.

    Attributes:
        rule: their rule.
        kind: what they are about.
        most: how many there may be; None if any number.
    """

    rule: str
    kind: SubjectKind
    most: int | None = None


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One injected incident.

    Attributes:
        rule: the rule that should find it.
        subject: on what.
        onset: since when, in milliseconds since the epoch; of an opt-out, when its request was received.
        end: until when; None if it lasts.
        note: what was done, in one sentence.
        tolerance: how far the onset that an alert names may be off, in milliseconds.
        also: alerts that may come with it, on what it touches.
        touches: the numbers, campaigns, contacts and accounts that it touches beside its subject.
    """

    rule: str
    subject: Subject
    onset: int
    end: int | None
    note: str
    tolerance: int = DAY
    also: tuple[Companion, ...] = ()
    touches: tuple[str, ...] = ()

    def as_public(self) -> dict[str, object]:
        """The incident as it is written into the truth."""
        return {
            "rule": self.rule,
            "subject": {"kind": self.subject.kind.value, "value": self.subject.value},
            "onset": to_iso(self.onset),
            "end": None if self.end is None else to_iso(self.end),
            "note": self.note,
            "tolerance_seconds": self.tolerance // SECOND,
            "also": [{"rule": one.rule, "kind": one.kind.value, "most": one.most} for one in self.also],
            "touches": list(self.touches),
        }


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about a simulation.

    Attributes:
        scenario: its name.
        seed: its seed.
        starts_at: its first moment, in milliseconds since the epoch.
        ends_at: the moment it is cut off.
        incidents: what was injected, by onset.
        calls: calls placed, those included whose callbacks were all lost.
        callbacks: lines sent, duplicates included.
        duplicates: lines that repeat an earlier one.
        lost: callbacks that never came.
        false_alarms: alerts that chance may raise, by what the rules' settings promise.
    """

    scenario: str
    seed: int
    starts_at: int
    ends_at: int
    incidents: tuple[Incident, ...]
    calls: int
    callbacks: int
    duplicates: int
    lost: int
    false_alarms: int = 0

    def as_public(self) -> dict[str, object]:
        """The truth with times in ISO 8601."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "from": to_iso(self.starts_at),
            "to": to_iso(self.ends_at),
            "incidents": [incident.as_public() for incident in self.incidents],
            "calls": self.calls,
            "callbacks": self.callbacks,
            "duplicates": self.duplicates,
            "lost": self.lost,
            "false_alarms": self.false_alarms,
        }

    def encode(self) -> bytes:
        """Write the truth as JSON, indented for people, with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self.as_public()), indent=2) + b"\n"


class _ReadIncident(msgspec.Struct):
    rule: str
    subject: Subject
    onset: str
    end: str | None
    note: str = ""
    tolerance_seconds: int = DAY // SECOND
    also: tuple[Companion, ...] = ()
    touches: tuple[str, ...] = ()


class _ReadTruth(msgspec.Struct, rename={"starts_at": "from", "ends_at": "to"}):
    scenario: str
    seed: int
    starts_at: str
    ends_at: str
    incidents: tuple[_ReadIncident, ...]
    calls: int
    callbacks: int
    duplicates: int
    lost: int
    false_alarms: int = 0


def read_truth(text: bytes) -> Truth:
    """Read what `Truth.encode` wrote.

    Raises:
        ValueError: it is no such thing.
    """
    read = msgspec.json.decode(text, type=_ReadTruth)
    return Truth(
        scenario=read.scenario,
        seed=read.seed,
        starts_at=from_iso(read.starts_at),
        ends_at=from_iso(read.ends_at),
        incidents=tuple(
            Incident(
                rule=one.rule,
                subject=one.subject,
                onset=from_iso(one.onset),
                end=None if one.end is None else from_iso(one.end),
                note=one.note,
                tolerance=one.tolerance_seconds * SECOND,
                also=one.also,
                touches=one.touches,
            )
            for one in read.incidents
        ),
        calls=read.calls,
        callbacks=read.callbacks,
        duplicates=read.duplicates,
        lost=read.lost,
        false_alarms=read.false_alarms,
    )
