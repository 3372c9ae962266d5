"""Records that no stage can apply, between records that it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from schemas.call import CallStatus
from schemas.callback import Callback
from schemas.log import NewRecord, Record
from schemas.settings import Assembly
from schemas.topics import DEADLETTERS
from streams.agents.assemble import AssembleStage
from streams.agents.stage import process_all

MakeCallback = Callable[..., Callback]
AsRecords = Callable[..., list[Record]]


@pytest.fixture
def half_poison(make_callback: MakeCallback, as_records: AsRecords) -> list[Record]:
    """Two hundred callbacks of as many calls, every second one unreadable."""
    records = as_records([make_callback(f"CA{index}", CallStatus.COMPLETED) for index in range(200)])
    return [
        msgspec.structs.replace(record, value=b"{") if place % 2 else record for place, record in enumerate(records)
    ]


def emitted(records: Sequence[Record], size: int) -> tuple[list[NewRecord], dict[bytes, bytes]]:
    """What assembly emits for records in slices of a size, and its table then."""
    table: dict[bytes, bytes] = {}
    stage = AssembleStage(Assembly(), table)
    found: list[NewRecord] = []
    for start in range(0, len(records), size):
        found += process_all(stage, records[start : start + size]).emissions
    return found, table


@pytest.mark.parametrize("size", [2, 7, 200])
def test_poison_gives_the_same_output_whatever_the_slicing(half_poison: list[Record], size: int) -> None:
    """Dead letters stand where their records stood, so that emissions and states do not depend on the slices."""
    one_by_one = emitted(half_poison, 1)
    assert sum(record.topic == DEADLETTERS.name for record in one_by_one[0]) == 100
    assert emitted(half_poison, size) == one_by_one


def test_many_poison_records_cost_no_more_than_twice_the_work(
    half_poison: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice full of unreadable records is not begun anew for each of them."""
    applied = 0
    original = AssembleStage._apply_record

    def count(stage: AssembleStage, *arguments: object) -> list[NewRecord]:
        nonlocal applied
        applied += 1
        return original(stage, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(AssembleStage, "_apply_record", count)
    emitted(half_poison, len(half_poison))
    assert applied <= 2 * len(half_poison)
