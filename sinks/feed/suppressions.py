"""The suppressions that the feed knows: whom not to call, and which number not to call from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from sys import intern

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.suppression import Suppression, suppression_key
from schemas.times import DAY

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
    at: int
    until: int | None
    data: bytes

    def holds(self, now: int) -> bool:
        """Whether it still holds at `now`, in milliseconds since the epoch."""
        return self.until is None or self.until > now

    def decode(self) -> Suppression:
        """The whole of it."""
        return Suppression.decode(self.data)


class HeldSuppressions:
    """The current verdict on each number and contact.

    Args:
        sweep_every: after how many changes those that ended by themselves are let go.
    """

    def __init__(self, sweep_every: int = SWEEP_EVERY) -> None:
        self._held: dict[str, HeldSuppression] = {}
        self._keys: list[str] | None = None
        self._ending: dict[str, int] = {}
        self._sweep_every = sweep_every
        self.changes = 0

    def __len__(self) -> int:
        return len(self._held)

    def apply(self, suppression: Suppression, data: bytes, timestamp: int) -> None:
        """Take a verdict in.

        Args:
            suppression: the verdict.
            data: its record's value.
            timestamp: its record's timestamp, in milliseconds since the epoch.
        """
        subject = suppression.subject
        key = _key(subject)
        if key not in self._held and self._keys is not None:
            insort(self._keys, key)
        self._held[key] = HeldSuppression(
            subject.kind, subject.value, intern(suppression.rule), suppression.at, suppression.until, data
        )
        if suppression.until is None:
            self._ending.pop(key, None)
        else:
            self._ending[key] = suppression.until
        self._count_change(timestamp)

    def lift(self, subject: Subject, timestamp: int) -> None:
        """Take a verdict away."""
        self._drop(_key(subject))
        self._count_change(timestamp)

    def get(self, subject: Subject, now: int) -> Suppression | None:
        """The verdict that holds at `now`, in milliseconds since the epoch; None if there is none."""
        held = self._held.get(_key(subject))
        return held.decode() if held is not None and held.holds(now) else None

    def state(self, now: int) -> str:
        """What every list depends on, as a short text: it differs whenever a list at `now` may differ."""
        latest_end = max((until for until in self._ending.values() if until <= now), default=0)
        return f"{self.changes}-{latest_end}"

    def page(
        self, wanted: Callable[[HeldSuppression], bool], now: int, after: str | None, limit: int
    ) -> tuple[list[Suppression], str | None]:
        """List the suppressions that hold at `now`, in order of kind and value.

        Args:
            wanted: which suppressions to list.
            now: milliseconds since the epoch.
            after: `kind:value` of the last one of the page before; None for the first page.
            limit: how many at most.

        Returns:
            The suppressions, and what to give as `after` to go on; None if these were the last.
        """
        found: list[HeldSuppression] = []
        keys = self._sorted()
        for place in range(0 if after is None else bisect_right(keys, after), len(keys)):
            held = self._held[keys[place]]
            if not held.holds(now) or not wanted(held):
                continue
            if len(found) == limit:
                return [one.decode() for one in found], f"{found[-1].kind.value}:{found[-1].value}"
            found.append(held)
        return [one.decode() for one in found], None

    def all(self, now: int) -> Iterator[HeldSuppression]:
        """Every suppression that holds at `now`, by kind and value; changes meanwhile may or may not be seen."""
        for key in tuple(self._sorted()):
            held = self._held.get(key)
            if held is not None and held.holds(now):
                yield held

    def _sorted(self) -> list[str]:
        # Sorted once, then kept in order: while the log is read from its beginning nobody needs the order.
        if self._keys is None:
            self._keys = sorted(self._held)
        return self._keys

    def _drop(self, key: str) -> None:
        self._ending.pop(key, None)
        if self._held.pop(key, None) is not None and self._keys is not None:
            del self._keys[bisect_left(self._keys, key)]

    def _count_change(self, timestamp: int) -> None:
        self.changes += 1
        if self.changes % self._sweep_every == 0:
            for key in [key for key, until in self._ending.items() if until < timestamp - GRACE]:
                self._drop(key)


def _key(subject: Subject) -> str:
    return suppression_key(subject).decode()
