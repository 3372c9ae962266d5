"""What the measurements of quality give: figures in the rows and columns of one table per part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.table import Table

FILE = Path(__file__).parent.parent / "quality.json"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure.

    Attributes:
        part: the measurement that it belongs to.
        name: the row of the part's table: what was looked at.
        measure: the column: what was measured of it.
        unit: of `value`.
        value: the figure; None if there is none, and `note` says why.
        against: an independent value for the same thing; None without one.
        target: what is asked for, in the same unit, as ">= 0.95" or "<= 60"; None if nothing is.
        note: what a reader must know, in a few words.
    """

    part: str
    name: str
    measure: str
    unit: str
    value: float | None
    against: float | None = None
    target: str | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target or a value.

        >>> Figure(part="bad_day", name="a", measure="b", unit="alerts", value=0.5, target="<= 1").reached
        True
        """
        if self.target is None or self.value is None:
            return None
        sign, _, bound = self.target.partition(" ")
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


def read(file: Path = FILE) -> list[Figure]:
    """Read the kept figures."""
    return msgspec.json.decode(file.read_bytes(), type=list[Figure])


def write(file: Path, figures: Sequence[Figure]) -> None:
    """Keep figures as JSON; what numpy calls a float is one."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(figures, enc_hook=float), indent=1) + b"\n")


def rows(figures: Sequence[Figure]) -> tuple[list[str], list[list[str]]]:
    """Lay a part's figures out: the headings, then a line of text per name in the order of first appearance."""
    measures = list(dict.fromkeys(figure.measure for figure in figures))
    units = {measure: {figure.unit for figure in figures if figure.measure == measure} for measure in measures}
    headings = [f"{measure}, {unit}" if (unit := _one(units[measure])) else measure for measure in measures]
    found = {(figure.name, figure.measure): figure for figure in figures}
    names = list(dict.fromkeys(figure.name for figure in figures))
    cells = [[_cell(found.get((name, measure)), len(units[measure]) > 1) for measure in measures] for name in names]
    return headings, [[name, *line] for name, line in zip(names, cells, strict=True)]


def terminal(part: str, figures: Sequence[Figure]) -> Table:
    """A part's table for the terminal."""
    headings, lines = rows(figures)
    table = Table("", *headings, title=part)
    for line in lines:
        table.add_row(*line)
    return table


def markdown(figures: Sequence[Figure]) -> str:
    """A part's table for a page."""
    headings, lines = rows(figures)
    rule = "|---|" + "---:|" * len(headings)
    return "\n".join([f"| | {' | '.join(headings)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])


def shown(value: float | None) -> str:
    """Write a figure with as many digits as it is worth.

    >>> shown(12345.6), shown(12.345), shown(0.01234), shown(3.0), shown(None)
    ('12,346', '12.3', '0.012', '3', '–')
    """
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def _one(units: set[str]) -> str:
    """The unit of a whole column; nothing where its rows have their own."""
    return next(iter(units)) if len(units) == 1 else ""


def _cell(figure: Figure | None, with_unit: bool) -> str:
    if figure is None:
        return ""
    mark = {True: " ✓", False: " ✗", None: ""}[figure.reached]
    unit = f" {figure.unit}" if with_unit and figure.value is not None else ""
    return shown(figure.value) + unit + mark
