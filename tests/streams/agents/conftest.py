"""Callbacks and records, built by keyword."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from schemas.call import CallStatus, Direction
from schemas.callback import Callback, CallbackKind
from schemas.log import Record

START = 1_795_000_000_000
MakeCallback = Callable[..., Callback]


def make_callback(
    call_sid: str = "CA1",
    status: CallStatus | None = CallStatus.INITIATED,
    at: int | None = START,
    *,
    kind: CallbackKind = CallbackKind.STATUS,
    received_at: int | None = None,
    number: str = "+12025550100",
    contact: str = "+12025550199",
    direction: Direction = Direction.OUTBOUND_API,
    campaign: str | None = "spring-sale",
    **fields: object,
) -> Callback:
    """Build a callback; `at` is Twilio's time."""
    with_parties = kind is not CallbackKind.MACHINE_VERDICT
    return Callback(
        call_sid=call_sid,
        account_sid="AC1",
        kind=kind,
        endpoint="/twilio/voice",
        received_at=(at or START) + 500 if received_at is None else received_at,
        params={},
        campaign=campaign,
        happened_at=at,
        status=status,
        number=number if with_parties else None,
        contact=contact if with_parties else None,
        direction=direction if with_parties else Direction.UNKNOWN,
        **fields,  # type: ignore[arg-type]
    )


def as_records(callbacks: Iterable[Callback], first_offset: int = 0, partition: int = 0) -> list[Record]:
    """Lay callbacks into a partition."""
    return [
        Record(
            "callbacks",
            partition,
            first_offset + place,
            callback.received_at,
            callback.call_sid.encode(),
            callback.encode(),
        )
        for place, callback in enumerate(callbacks)
    ]


@pytest.fixture(name="make_callback")
def _make_callback() -> MakeCallback:
    return make_callback


@pytest.fixture(name="as_records")
def _as_records() -> Callable[..., list[Record]]:
    return as_records
