"""What a measurement gives, where it was taken, and how both are shown and kept."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import msgspec
from rich.console import Console
from rich.table import Table

FILE = Path(__file__).parent / "results.json"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One figure.

    Attributes:
        name: what was measured, unique among all results.
        unit: of `value`.
        value: the figure; None if it could not be measured, and `note` says why.
        against: what it is compared with, measured in the same run; None without a comparison.
        ratio: `value` over the figure it is compared with.
        target: what is asked for, in the same unit, as ">= 2000" or "<= 50"; None if nothing is.
        note: how it was measured, in a few words.
    """

    name: str
    unit: str
    value: float | None
    against: str | None = None
    ratio: float | None = None
    target: str | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target or a value."""
        if self.target is None or self.value is None:
            return None
        sign, _, bound = self.target.partition(" ")
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when the figures were taken."""

    cpu: str
    cores: int
    python: str
    sqlite: str
    duckdb: str
    date: str


def this_machine(date: str) -> Machine:
    """Describe this machine.

    Args:
        date: when the measurements began, ISO 8601 in UTC.
    """
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        duckdb=duckdb.__version__,
        date=date,
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write(path: Path, machine: Machine, results: Mapping[str, Sequence[Result]]) -> None:
    """Keep the results of the measurements by name, as JSON."""
    content = {
        "machine": machine,
        "results": [
            {"measurement": name, **msgspec.to_builtins(result)} for name, found in results.items() for result in found
        ],
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the results as a table; their notes are in the file."""
    table = Table("what", "value", "unit", "target", "compared", title="Measured")
    for result in results:
        colour = {True: "green", False: "red", None: "default"}[result.reached]
        compared = f"{result.ratio:.2f} × {result.against}" if result.ratio is not None else ""
        value = "–" if result.value is None else shown(result.value)
        table.add_row(result.name, f"[{colour}]{value}[/]", result.unit, result.target or "", compared)
    console.print(table)


def shown(value: float) -> str:
    """Write a figure with as many digits as it is worth.

    >>> shown(12345.6), shown(12.345), shown(0.01234)
    ('12,346', '12.3', '0.012')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.3f}"
