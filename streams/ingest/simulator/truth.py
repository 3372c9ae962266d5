"""What a simulation injected and how much it sent."""

from __future__ import annotations

import msgspec

from schemas.alert import Subject
from schemas.times import to_iso


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One injected incident.

    Attributes:
        rule: the rule that should find it.
        subject: on what.
        onset: since when, in milliseconds since the epoch; of an opt-out, when its request was received.
        end: until when; None if it lasts.
        note: what was done, in one sentence.
    """

    rule: str
    subject: Subject
    onset: int
    end: int | None
    note: str

    def as_public(self) -> dict[str, object]:
        """The incident as it is written into the truth."""
        return {
            "rule": self.rule,
            "subject": {"kind": self.subject.kind.value, "value": self.subject.value},
            "onset": to_iso(self.onset),
            "end": None if self.end is None else to_iso(self.end),
            "note": self.note,
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
        }

    def encode(self) -> bytes:
        """Write the truth as JSON, indented for people, with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self.as_public()), indent=2) + b"\n"
