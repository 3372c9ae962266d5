"""What the feed tells: one event for each record of `alerts` and `suppressions` that says something new."""

from __future__ import annotations

import msgspec

from schemas.alert import Alert, Subject, SubjectKind
from schemas.log import Record
from schemas.suppression import Suppression, read_suppression_key
from schemas.topics import ALERTS, SUPPRESSIONS
from schemas.wire import UnreadableRecordError

FEED_TOPICS = (ALERTS.name, SUPPRESSIONS.name)
"""The topics that the feed follows, in the order in which a cursor names them."""


class Lifted(msgspec.Struct, frozen=True):
    """A suppression that no longer holds.

    Attributes:
        subject: the number or contact that it was about.
        rule: the rule that asked for it.
        scope: the suppression's own.
    """

    subject: Subject
    rule: str
    scope: str

    def as_public(self) -> dict[str, object]:
        """The lifting as the feed shows it."""
        return {"kind": self.subject.kind.value, "value": self.subject.value, "lifted": True}


Payload = Alert | Suppression | Lifted


class Event(msgspec.Struct):
    """One record of the log as the feed tells it; `frame` is written when it is first asked for.

    Attributes:
        topic: the record's topic.
        partition: the record's partition.
        offset: the record's offset.
        size: bytes of what it says.
        payload: what it says.
        instead: the record's value of the verdict that is told in place of the payload, because it holds longer; empty
            where there is none.
        frame: the event's lines, without its id and its closing blank line; empty until asked for.
    """

    topic: str
    partition: int
    offset: int
    size: int
    payload: Payload
    instead: bytes = b""
    frame: bytes = b""


class Filter(msgspec.Struct, frozen=True):
    """Which events a client asked for; an empty set asks for all.

    A lifted suppression passes whatever rules were asked for, and so does a person's word that allows: a client that
    was told of a suppression must be told of its end, and may have been told of it in place of another rule's.
    """

    rules: frozenset[str] = frozenset()
    kinds: frozenset[SubjectKind] = frozenset()

    def admits(self, payload: Payload) -> bool:
        """Whether the client asked for it."""
        if self.kinds and payload.subject.kind not in self.kinds:
            return False
        return not self.rules or _frees(payload) or payload.rule in self.rules


def read_event(record: Record) -> Event:
    """Read a record of `alerts` or `suppressions`.

    Raises:
        UnreadableRecordError: the bytes are no such record, or the key of a tombstone is none of `suppressions`.
    """
    payload = _read_alert(record) if record.topic == ALERTS.name else _read_suppression(record)
    return Event(record.topic, record.partition, record.offset, len(record.value or b""), payload)


def event_frame(event: Event) -> bytes:
    """The event's lines, as server-sent events write them, without its id and its closing blank line."""
    if not event.frame:
        name = b"alert" if isinstance(event.payload, Alert) else b"suppression"
        told = Suppression.decode(event.instead) if event.instead else event.payload
        event.frame = b"event: %s\ndata: %s\n" % (name, msgspec.json.encode(_public(told)))
    return event.frame


def _public(told: Payload) -> dict[str, object]:
    if isinstance(told, Suppression) and told.allows:
        return Lifted(told.subject, told.rule, told.scope).as_public() | {"overridden_by": told.as_override()}
    return told.as_public()


def _frees(payload: Payload) -> bool:
    return isinstance(payload, Lifted) or (isinstance(payload, Suppression) and payload.allows)


def _read_alert(record: Record) -> Alert:
    if record.value is None:
        raise UnreadableRecordError("no Alert: the record has no value")
    return Alert.decode(record.value)


def _read_suppression(record: Record) -> Suppression | Lifted:
    if record.value is not None:
        return Suppression.decode(record.value)
    try:
        return Lifted(*read_suppression_key(record.key or b""))
    except ValueError as error:
        raise UnreadableRecordError(f"no tombstone of a suppression: {error}") from error
