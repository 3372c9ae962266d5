"""Run lengths of the same charts by R's package `surveillance`, an independent oracle.

`LRCUSUM.runlength` cuts the scores into equal cells and takes a score for uniform in its cell. That is made for smooth
scores and wanders by a third on a chart whose scores lie on a lattice. Two things make it fit: charts whose probability
puts the scores exactly on a lattice, p = (1 - R^(k/m)) / (1 - R), with k and m - k prime to 6; and cells of which
n + 1/6 make a step, where its three-point rule moves a score by exactly a step on average. What is left is below 3 %.

Debian has it as `r-cran-surveillance`.

References:
    Höhle, M. (2010), Online change-point detection in categorical time series, in Statistical Modelling and Regression
    Structures, Physica-Verlag; Knoth, S. (2006), Frontiers in Statistical Quality Control 8, for the chain.
"""

from __future__ import annotations

import shutil
import subprocess
from math import exp, log
from pathlib import Path

import msgspec

from bench.quality.figures import Figure
from bench.quality.markov_chain import Lattice, run_lengths

PART = "oracle"

FINENESS = 9
"""Cells of a step; R needs a second for the 270 cells of a chart."""

_SECONDS = 300.0
_PROGRAM = Path(__file__).with_name("oracle.R")


class Chart(msgspec.Struct, frozen=True):
    """A chart whose scores lie on a lattice.

    Attributes:
        ratio: R that it looks for.
        up: k, steps of a miss.
        whole: m, steps of |ln R|.
        height: the alarm is at so many steps.
    """

    ratio: float
    up: int
    whole: int
    height: int

    @property
    def probability(self) -> float:
        """The usual chance of a success."""
        return (1 - exp(log(self.ratio) * self.up / self.whole)) / (1 - self.ratio)

    @property
    def lattice(self) -> Lattice:
        """The chart as a Markov chain has it."""
        return Lattice(-log(self.ratio) / self.whole, self.up, self.whole - self.up, self.height)


CHARTS = (Chart(0.3, 1, 6, 30), Chart(0.3, 5, 12, 40), Chart(1 / 3, 5, 6, 30), Chart(0.3, 1, 8, 36))
"""Usual rates of 0.26, 0.56, 0.90 and 0.20."""


def missing() -> str | None:
    """Why R can't be asked, and what to do; None if it can."""
    program = shutil.which("Rscript")
    if program is None:
        return "no Rscript: apt-get install --no-install-recommends r-cran-surveillance"
    asked = [program, "-e", 'quit(status = !nzchar(system.file(package = "surveillance")))']
    if subprocess.run(asked, capture_output=True, timeout=_SECONDS, check=False).returncode:
        return "R has no surveillance: apt-get install --no-install-recommends r-cran-surveillance"
    return None


def surveillance_run_lengths(charts: tuple[Chart, ...], fineness: int = FINENESS) -> list[float]:
    """R's mean run length of each chart, in calls.

    Args:
        charts: the charts.
        fineness: cells of a step.

    Raises:
        subprocess.CalledProcessError: R failed.
    """
    lines = "".join(f"{chart.ratio!r} {chart.up} {chart.whole} {chart.height} {fineness}\n" for chart in charts)
    told = subprocess.run(
        ["Rscript", str(_PROGRAM)], input=lines, capture_output=True, text=True, timeout=_SECONDS, check=True
    )
    return [float(line) for line in told.stdout.split()]


def measure() -> list[Figure]:
    """Compare the chain's run lengths with R's; without R, only the chain's, and why."""
    reason = missing()
    asked: list[float] | list[None] = [None] * len(CHARTS) if reason else surveillance_run_lengths(CHARTS)
    figures: list[Figure] = []
    for chart, other in zip(CHARTS, asked, strict=True):
        own = float(run_lengths(chart.lattice, chart.probability)[0])
        name = f"p {chart.probability:.3f}, R {chart.ratio:.2f}, h {chart.height * chart.lattice.step:.2f}"
        against = None if other is None else round(other, 1)
        ratio = None if other is None else round(own / other, 4)
        note = reason or ""
        figures += [
            Figure(part=PART, name=name, measure="chain", unit="calls", value=round(own, 1), against=against),
            Figure(part=PART, name=name, measure="surveillance", unit="calls", value=against, note=note),
            Figure(part=PART, name=name, measure="ratio", unit="", value=ratio, note=note),
        ]
    return figures
