"""Whom not to call, and which number not to call from: the records of `suppressions`."""

from __future__ import annotations

from struct import Struct
from typing import ClassVar

from schemas.alert import Evidence, Subject, SubjectKind
from schemas.log import Headers
from schemas.times import to_iso
from schemas.wire import Versioned

_SEPARATOR = "\x1f"

_CAUSE = "cause"
_cause = Struct(">qq")
_AUTHOR = "author"

OVERRIDE = "override"
"""The rule under which a person's own word on a number or contact is kept; it wins over every other rule."""


def suppression_key(subject: Subject, rule: str, scope: str = "") -> bytes:
    r"""Write the topic's key: `kind:value`, rule and scope, with the unit separator between them.

    A record without a value lifts the verdict of this rule and scope, and no other one on the subject.

    >>> suppression_key(Subject(SubjectKind.NUMBER, "+12025550100"), "answer_rate_collapse", "spring-sale")
    b'number:+12025550100\x1fanswer_rate_collapse\x1fspring-sale'
    """
    return _SEPARATOR.join((f"{subject.kind.value}:{subject.value}", rule, scope)).encode()


def read_suppression_key(key: bytes) -> tuple[Subject, str, str]:
    """Read the topic's key: the subject, the rule and the scope.

    Raises:
        ValueError: it is no such key.
    """
    # From the right: neither rule nor scope holds a separator, while a value is what somebody sent.
    parts = key.decode().rsplit(_SEPARATOR, 2)
    if len(parts) != 3:  # noqa: PLR2004 - subject, rule and scope
        raise ValueError(f"no key of a suppression: {key!r}; it is kind:value, rule and scope, parted by \\x1f")
    kind, _, value = parts[0].partition(":")
    return Subject(SubjectKind(kind), value), parts[1], parts[2]


def cause_header(offset: int, timestamp: int) -> Headers:
    """Give the header that tells which record of the source caused a verdict, or its end.

    All verdicts of one key have their causes in one partition.

    Args:
        offset: of the cause.
        timestamp: of the cause, in milliseconds since the epoch.
    """
    return ((_CAUSE, _cause.pack(offset, timestamp)),)


def read_cause(headers: Headers) -> bytes:
    """Find the cause in a record's headers; empty if it does not tell."""
    return next((value for name, value in headers if name == _CAUSE and len(value) == _cause.size), b"")


def time_of_cause(cause: bytes) -> int | None:
    """The time of a cause, in milliseconds since the epoch; None of an empty one.

    >>> [(_, cause)] = cause_header(7, 1_000)
    >>> time_of_cause(cause), time_of_cause(b"")
    (1000, None)
    """
    return int(_cause.unpack(cause)[1]) if cause else None


def offset_of_cause(cause: bytes) -> int | None:
    """The offset of a cause; None of an empty one.

    >>> [(_, cause)] = cause_header(7, 1_000)
    >>> offset_of_cause(cause)
    7
    """
    return int(_cause.unpack(cause)[0]) if cause else None


def is_overtaken(cause: bytes, last: bytes) -> bool:
    """Whether a verdict's cause lies before that of the one told last.

    A worker taken for dead says such, and one that does its work again. By offset and by time: neither a source that
    was made anew nor a clock that was set back has a verdict overtaken.

    >>> [((_, early),), ((_, late),)] = cause_header(7, 1_000), cause_header(8, 2_000)
    >>> is_overtaken(early, late), is_overtaken(late, early), is_overtaken(late, late), is_overtaken(b"", late)
    (True, False, False, False)
    """
    if not cause or not last:
        return False
    (offset, at), (last_offset, last_at) = _cause.unpack(cause), _cause.unpack(last)
    return bool(offset < last_offset and at <= last_at)


def words_header(author: str, at: int) -> Headers:
    """Give the headers of a person's word, or of its end: who said it, and when.

    No record of a source caused it, so its time stands for the place in one, too: of two words the later one holds.

    Args:
        author: who; empty if it ended by itself.
        at: milliseconds since the epoch; ascends from one word on a subject to the next.
    """
    return (*cause_header(at, at), (_AUTHOR, author.encode()))


def read_author(headers: Headers) -> str | None:
    """Find in a record's headers who said it; None if they do not tell."""
    found = next((value for name, value in headers if name == _AUTHOR), b"")
    return found.decode("utf-8", "replace") or None


class Suppression(Versioned, frozen=True, kw_only=True):
    """The current verdict of one rule and scope on one number or contact; any one verdict suppresses its subject.

    A person's word is a verdict of the rule `override`; one that allows frees the subject of all others while it holds.

    Attributes:
        subject: the number or contact.
        rule: the rule that asks for it.
        alert_id: the alert that explains it.
        at: since when it holds, in milliseconds since the epoch.
        until: when it ends by itself; None if never.
        reason: one sentence for a person.
        evidence: why.
        scope: what else tells two verdicts of one rule and subject apart, such as the campaign of a number.
        allows: whether it is a person's word that the subject is free, whatever the rules say.
        author: the person whose word it is; None for a rule's verdict.
    """

    VERSION: ClassVar[int] = 1

    subject: Subject
    rule: str
    alert_id: str
    at: int
    until: int | None
    reason: str
    evidence: Evidence
    scope: str = ""
    allows: bool = False
    author: str | None = None

    def as_public(self) -> dict[str, object]:
        """The verdict as the API and the feed show it."""
        return {
            "kind": self.subject.kind.value,
            "value": self.subject.value,
            "rule": self.rule,
            "alert_id": self.alert_id,
            "at": to_iso(self.at),
            "until": None if self.until is None else to_iso(self.until),
            "reason": self.reason,
            "evidence": self.evidence,
        }

    def as_override(self) -> dict[str, object]:
        """A person's word as the API and the feed show it beside what the rules say."""
        return {
            "allow": self.allows,
            "author": self.author,
            "reason": self.reason,
            "at": to_iso(self.at),
            "until": None if self.until is None else to_iso(self.until),
        }
