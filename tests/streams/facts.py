"""Facts about calls, built by keyword: the one place where tests of detectors and stages say what a call is like."""

from __future__ import annotations

from typing import Any

from schemas.call import CallFact, Contribution, Direction, Disposition, FactKind, Origin


def make_fact(kind: FactKind, at: int, after: Contribution, **fields: Any) -> CallFact:
    """A fact of a kind, at an event time in milliseconds since the epoch; what a test does not care for is filled in.

    Its origin is the time: where times do not ascend and a stage is to apply it, a test names the origin.
    """
    given: dict[str, Any] = {
        "revision": 0 if kind is FactKind.PLACED else 1,
        "origin": Origin(0, at, 0),
        "call_sid": f"CA{at}",
        "account_sid": "AC1",
        "number": "+12025550100",
        "contact": "+12125550123",
        "campaign": "spring-sale",
        "direction": Direction.OUTBOUND_API,
        "counted": True,
    }
    return CallFact(fact=kind, at=at, after=after, **(given | fields))


def placed(at: int, **fields: Any) -> CallFact:
    """A call as it is placed."""
    return make_fact(FactKind.PLACED, at, Contribution(attempted_at=at), **fields)


def ended(at: int, disposition: Disposition, *, attempted_at: int | None = None, **fields: Any) -> CallFact:
    """A call as it ends; placed at the same moment, if nothing else is said."""
    before = Contribution(attempted_at=at if attempted_at is None else attempted_at)
    after = Contribution(attempted_at=before.attempted_at, ended_at=at, disposition=disposition)
    return make_fact(FactKind.ENDED, at, after, **({"before": before} | fields))
