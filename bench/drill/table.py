"""What a drill found, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from bench.drill.differences import Difference, Kind


class Row(msgspec.Struct, frozen=True):
    """What one fault did.

    Attributes:
        fault: its name.
        accepted: callbacks that got a 2xx while it was drilled.
        differences: all that is not as in an undisturbed run; none is what must be.
        alerts: that an undisturbed run has by then.
        seconds: from the fault's end until all is worked off and the facts of new callbacks are seen; None if never.
        note: what else is to be known.
    """

    fault: str
    accepted: int
    alerts: int
    differences: Sequence[Difference]
    seconds: float | None
    note: str = ""

    def count(self, kind: Kind) -> int:
        """How many differences of a kind there are."""
        return sum(difference.kind is kind for difference in self.differences)


_COLUMNS = (
    ("lost", Kind.LOST),
    ("double", Kind.DOUBLE),
    ("alerts missing", Kind.ALERT_MISSING),
    ("alerts extra", Kind.ALERT_EXTRA),
    ("windows differing", Kind.WINDOWS),
)


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table()
    table.add_column("fault", no_wrap=True)
    for heading in ("accepted", *(heading for heading, _ in _COLUMNS), "seconds to be back"):
        table.add_column(heading, justify="right")
    for row in rows:
        seconds = "never" if row.seconds is None else f"{row.seconds:.1f}"
        table.add_row(row.fault, str(row.accepted), *(str(row.count(kind)) for _, kind in _COLUMNS), seconds)
    console.print(table)


def tell(console: Console, row: Row) -> None:
    """Print what there is to know of one fault as soon as it is known."""
    back = "never" if row.seconds is None else f"after {row.seconds:.1f} s"
    lines = [f"{row.fault}: {len(row.differences)} differences, back {back}; {row.note}"]
    lines += [f"  {difference.kind.value}: {difference.what}" for difference in row.differences]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def as_json(rows: Sequence[Row]) -> bytes:
    """The table as JSON."""
    found = [
        {
            "fault": row.fault,
            "accepted": row.accepted,
            **{heading.replace(" ", "_"): row.count(kind) for heading, kind in _COLUMNS},
            "alerts": row.alerts,
            "seconds_to_be_back": row.seconds,
            "differences": [f"{difference.kind.value}: {difference.what}" for difference in row.differences],
            "note": row.note,
        }
        for row in rows
    ]
    return msgspec.json.format(msgspec.json.encode(found), indent=2)
