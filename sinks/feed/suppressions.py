"""The suppressions that the feed knows: whom not to call, and which number not to call from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from math import inf
from sys import intern

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.suppression import OVERRIDE, Suppression, is_overtaken, time_of_cause
from schemas.times import DAY
from sinks.feed.events import Lifted

# How often suppressions that ended by themselves are swept out; each sweep walks them all, some milliseconds a million.
SWEEP_EVERY = 10_000
# An ended suppression changes no answer; a day's grace keeps a log's clock that runs ahead from mattering.
GRACE = DAY


class HeldSuppression(msgspec.Struct, frozen=True):
    """A suppression as the feed holds it: what lists ask for, and the record's own bytes for the rest.

    A million opted-out people are ordinary, so the evidence stays undecoded until somebody asks.
    """

    kind: SubjectKind
    value: str
    rule: str
    scope: str
    at: int
    until: int | None
    data: bytes
    cause: bytes = b""
    allows: bool = False

    def holds(self, now: int) -> bool:
        """Whether it still holds at `now`, in milliseconds since the epoch."""
        return self.until is None or self.until > now

    @property
    def said_at(self) -> int:
        """When it was said, as its cause has it; 0 if there is none."""
        return time_of_cause(self.cause) or 0

    def is_of(self, rule: str, scope: str) -> bool:
        """Whether it is the verdict of this rule and scope."""
        return self.rule == rule and self.scope == scope

    @property
    def strength(self) -> tuple[float, int, str, str]:
        """Orders the verdicts on one subject: the one that ends last is the greatest, and no two are equal."""
        return inf if self.until is None else self.until, self.at, self.rule, self.scope

    def decode(self) -> Suppression:
        """The whole of it."""
        return Suppression.decode(self.data)


class Standing(msgspec.Struct, frozen=True):
    """What is said of one number or contact.

    Attributes:
        suppressed: whether it is suppressed, all in all.
        verdict: of the verdicts that ask for it, the one that holds longest; None if there is none.
        override: a person's word, which wins; None if there is none.
    """

    suppressed: bool
    verdict: Suppression | None
    override: Suppression | None


class HeldSuppressions:
    """The current verdicts on each number and contact: one of each rule and scope, of which any suppresses it.

    Of several the one that holds longest is shown; whoever knows that one alone is right until it ends or is lifted.
    While a person's word allows a subject, nothing suppresses it, and whoever knows one verdict a subject is told so.

    Args:
        sweep_every: after how many changes those that ended by themselves are let go.
    """

    def __init__(self, sweep_every: int = SWEEP_EVERY) -> None:
        self._held: dict[str, tuple[HeldSuppression, ...]] = {}
        self._keys: list[str] | None = None
        self._ending: dict[tuple[str, str, str], int] = {}
        self._lifted_by: dict[tuple[str, str, str], bytes] = {}
        self._words: dict[str, HeldSuppression] = {}
        self._sweep_every = sweep_every
        self.changes = 0

    def __len__(self) -> int:
        """How many numbers and contacts are held."""
        return len(self._held)

    def is_overtaken(self, change: Suppression | Lifted, cause: bytes) -> bool:
        """Whether a verdict, or its end, has been followed by a later one already, and must not be taken in.

        Args:
            change: a verdict, or the end of one.
            cause: of it, as its record's header has it.
        """
        key = _key(change.subject)
        held = next((one for one in self._held.get(key, ()) if one.is_of(change.rule, change.scope)), None)
        last = self._lifted_by.get((key, change.rule, change.scope), b"") if held is None else held.cause
        return is_overtaken(cause, last)

    def apply(self, suppression: Suppression, data: bytes, timestamp: int, cause: bytes = b"") -> None:
        """Take a verdict in.

        Args:
            suppression: the verdict.
            data: its record's value.
            timestamp: its record's timestamp, in milliseconds since the epoch.
            cause: as its record's header has it.
        """
        subject = suppression.subject
        key = _key(subject)
        if key not in self._held and self._keys is not None:
            insort(self._keys, key)
        rule, scope, until = intern(suppression.rule), intern(suppression.scope), suppression.until
        allows = suppression.allows
        new = HeldSuppression(subject.kind, subject.value, rule, scope, suppression.at, until, data, cause, allows)
        if rule == OVERRIDE:
            self._words[key] = new
        self._lifted_by.pop((key, rule, scope), None)
        self._held[key] = (*(one for one in self._held.get(key, ()) if not one.is_of(rule, scope)), new)
        if until is None:
            self._ending.pop((key, rule, scope), None)
        else:
            self._ending[key, rule, scope] = until
        self._count_change(timestamp)

    def lift(self, subject: Subject, rule: str, scope: str, timestamp: int, cause: bytes = b"") -> None:
        """Take the verdict of one rule and scope away."""
        key = _key(subject)
        self._drop(key, rule, scope)
        if cause:
            self._lifted_by[key, rule, scope] = cause
        self._count_change(timestamp)

    def get(self, subject: Subject, now: int) -> Suppression | None:
        """The verdict that holds longest at `now`, in milliseconds since the epoch; None if it is not suppressed."""
        held = _strongest(self._held.get(_key(subject), ()), now)
        return None if held is None else held.decode()

    def standing(self, subject: Subject, now: int) -> Standing:
        """All that is said of a subject at `now`, in milliseconds since the epoch."""
        verdicts = self._held.get(_key(subject), ())
        word = self._words.get(_key(subject))
        override = word if word is not None and word.holds(now) else None
        asking = [one for one in verdicts if one.holds(now) and not one.allows]
        strongest = max(asking, key=lambda one: one.strength, default=None)
        return Standing(
            suppressed=strongest is not None and (override is None or not override.allows),
            verdict=None if strongest is None else strongest.decode(),
            override=None if override is None else override.decode(),
        )

    def overrides(self, now: int) -> list[Suppression]:
        """The words of people that hold at `now`, by kind and value."""
        return [self._words[key].decode() for key in sorted(self._words) if self._words[key].holds(now)]

    def word(self, subject: Subject) -> HeldSuppression | None:
        """What a person said of a subject, whether or not it still holds; None if nothing, or if it was ended."""
        return self._words.get(_key(subject))

    def last_word_at(self, subject: Subject) -> int:
        """When a person's word on a subject was said or ended last, as its cause has it; 0 if never."""
        key = _key(subject)
        word = self._words.get(key)
        cause = self._lifted_by.get((key, OVERRIDE, ""), b"") if word is None else word.cause
        return time_of_cause(cause) or 0

    def ended_allowances(self, now: int) -> list[HeldSuppression]:
        """The words that allowed a subject until a time that has come."""
        return [word for word in self._words.values() if word.allows and not word.holds(now)]

    def instead_of(self, change: Suppression | Lifted, now: int) -> bytes:
        """The verdict that somebody who knows one verdict a subject is to be told in place of a change.

        Args:
            change: a verdict, or the end of one.
            now: milliseconds since the epoch.

        Returns:
            The record's value of the person's word that allows the subject, or else of its strongest other verdict;
            empty if there is none, or none that holds longer than the changed one.
        """
        verdicts = self._held.get(_key(change.subject), ())
        allowing = _allowing(verdicts, now)
        if allowing is not None:
            return b"" if allowing.is_of(change.rule, change.scope) else allowing.data
        other = _strongest(verdicts, now, lambda one: not one.is_of(change.rule, change.scope))
        if other is None:
            return b""
        if isinstance(change, Suppression) and not change.allows and not _ends_before(change.until, other.until):
            return b""
        return other.data

    def state(self, now: int) -> str:
        """What every list depends on, as a short text: it differs whenever a list at `now` may differ."""
        latest_end = max((until for until in self._ending.values() if until <= now), default=0)
        return f"{self.changes}-{latest_end}"

    def page(
        self, wanted: Callable[[HeldSuppression], bool], now: int, after: str | None, limit: int
    ) -> tuple[list[Suppression], str | None]:
        """List the numbers and contacts that are suppressed at `now`, in order of kind and value.

        Args:
            wanted: which verdicts to list; of several on one subject the one that holds longest.
            now: milliseconds since the epoch.
            after: `kind:value` of the last one of the page before; None for the first page.
            limit: how many at most.

        Returns:
            The suppressions, and what to give as `after` to go on; None if these were the last.
        """
        found: list[HeldSuppression] = []
        keys = self._sorted()
        for place in range(0 if after is None else bisect_right(keys, after), len(keys)):
            held = _strongest(self._held[keys[place]], now, wanted)
            if held is None:
                continue
            if len(found) == limit:
                return [one.decode() for one in found], f"{found[-1].kind.value}:{found[-1].value}"
            found.append(held)
        return [one.decode() for one in found], None

    def all(self, now: int) -> Iterator[HeldSuppression]:
        """Who is suppressed at `now`, by kind and value; changes meanwhile may or may not be seen."""
        for key in tuple(self._sorted()):
            held = _strongest(self._held.get(key, ()), now)
            if held is not None:
                yield held

    def _sorted(self) -> list[str]:
        # Sorted once, then kept in order: while the log is read from its beginning nobody needs the order.
        if self._keys is None:
            self._keys = sorted(self._held)
        return self._keys

    def _drop(self, key: str, rule: str, scope: str) -> None:
        self._ending.pop((key, rule, scope), None)
        if rule == OVERRIDE:
            self._words.pop(key, None)
        verdicts = self._held.get(key)
        if verdicts is None:
            return
        left = tuple(one for one in verdicts if not one.is_of(rule, scope))
        if left:
            self._held[key] = left
            return
        del self._held[key]
        if self._keys is not None:
            del self._keys[bisect_left(self._keys, key)]

    def _count_change(self, timestamp: int) -> None:
        self.changes += 1
        if self.changes % self._sweep_every == 0:
            self._sweep(timestamp - GRACE)

    def _sweep(self, before: int) -> None:
        for key, rule, scope in [place for place, until in self._ending.items() if until < before]:
            # The end of a word that allowed is told by a record of its own, which is still to come.
            if rule != OVERRIDE or not self._words[key].allows:
                self._drop(key, rule, scope)
        # A worker that does its work again, or was taken for dead, says what was overtaken within minutes, and who
        # begins at the log's beginning comes to the end once more. A new word is later than one of a day ago anyway.
        self._lifted_by = {
            place: cause for place, cause in self._lifted_by.items() if (time_of_cause(cause) or 0) >= before
        }


def _strongest(
    verdicts: tuple[HeldSuppression, ...], now: int, wanted: Callable[[HeldSuppression], bool] = lambda _: True
) -> HeldSuppression | None:
    if _allowing(verdicts, now) is not None:
        return None
    holding = (one for one in verdicts if one.holds(now) and not one.allows and wanted(one))
    return max(holding, key=lambda one: one.strength, default=None)


def _allowing(verdicts: tuple[HeldSuppression, ...], now: int) -> HeldSuppression | None:
    return next((one for one in verdicts if one.allows and one.holds(now)), None)


def _ends_before(one: int | None, other: int | None) -> bool:
    return one is not None and (other is None or one < other)


def _key(subject: Subject) -> str:
    return f"{subject.kind.value}:{subject.value}"
