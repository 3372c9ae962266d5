"""The rule beside other detectors, on the same calls: false alarms, delays, cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.peers.environment import python
from bench.quality.bocpd import judge_changepoints
from bench.quality.figures import Figure
from bench.quality.fleet import judge_rule
from bench.quality.markov_chain import exact_threshold, odds_ratio
from bench.quality.plain_chart import PlainChart
from bench.quality.river_task import Entry, Task, run_river
from bench.quality.traffic import NUMBERS, RATE
from bench.quality.trials import Detector, Judged, Streams, judge, make_streams
from bench.quality.windows import naive, wilson
from schemas.rules import AnswerRateCollapse

PART = "comparison"

DESIGN_FALL = odds_ratio(RATE, 0.12)
"""From 35 to 12 %, the fall that the targets are set for."""

FALLS = (DESIGN_FALL, 0.35)
"""A fall to 35 % of the odds, from 35 to 16 %, is the harder one."""

REQUIREMENTS = Path(__file__).parent / "requirements.txt"

RULE = "answer_rate_collapse, defaults"

RIVER = ("DDM", "EDDM", "FHDDM", "HDDM_A", "HDDM_W", "ADWIN", "KSWIN", "PageHinkley")

SLOW = {"KSWIN": 2}
"""KSWIN takes 0.4 ms a call, so it gets two of the 40 numbers."""

CHANGEPOINTS = (0.5, 0.9)

TARGETS = {"false alarms": "<= 1", "median delay": "<= 60", "found within 300": ">= 1"}
"""At no more than one false alarm in 10,000 calls the median delay is 60, and all are found."""


class Row(msgspec.Struct):
    """A detector, how it did on each size of fall, and what is to be said of it."""

    name: str
    judged: list[Judged]
    note: str = ""


def river_python() -> Path:
    """The interpreter of the environment with river and the data sets; the first call installs it."""
    return python(REQUIREMENTS, "quality")


def measure() -> list[Figure]:
    """Run every detector."""
    streams = [make_streams(odds) for odds in FALLS]
    rows = [Row(RULE, judge_rule(AnswerRateCollapse(), FALLS), "learns the usual rates; alerts of the campaign count")]
    rows += _charts_and_windows(streams)
    rows += [
        Row(f"BOCPD, P > {threshold:g}", list(judged), "knows the usual rate")
        for threshold, *judged in zip(
            CHANGEPOINTS, *(judge_changepoints(CHANGEPOINTS, each) for each in streams), strict=True
        )
    ]
    entries = [Entry(name, {}, SLOW.get(name, NUMBERS)) for name in RIVER]
    for entry, judged in zip(entries, run_river(river_python(), Task(entries, streams)), strict=True):
        note = "river's defaults" + ("" if entry.numbers == NUMBERS else f"; {entry.numbers} numbers only")
        rows.append(Row(f"river {entry.detector}", judged, note))
    return [figure for row in rows for figure in figures_of(row)]


def _charts_and_windows(streams: list[Streams]) -> list[Row]:
    ratio = AnswerRateCollapse().odds_ratio
    limit = exact_threshold(RATE, ratio, 10_000)
    makers: dict[str, Callable[[], Detector]] = {
        f"plain CUSUM, h {limit:.2f}": lambda: PlainChart(RATE, ratio, limit),
        "last 30 under half": lambda: naive(30, 0.5),
        "last 50 under half": lambda: naive(50, 0.5),
        "Wilson 50, z 3.09": lambda: wilson(50, 3.09),
        "Wilson 100, z 2.33": lambda: wilson(100, 2.33),
        "Wilson 100, z 2.33, under 3/4": lambda: wilson(100, 2.33, 0.75),
    }
    return [Row(name, [judge(make, each) for each in streams], "knows the usual rate") for name, make in makers.items()]


def figures_of(row: Row) -> list[Figure]:
    """A detector's line in the table."""
    design, harder = row.judged
    targets = TARGETS if row.name == RULE else {}

    def figure(measure: str, unit: str, value: float | None, target: str | None = None) -> Figure:
        rounded = None if value is None else round(value, 4)
        note = row.note if rounded is not None else "fewer than that were found"
        return Figure(part=PART, name=row.name, measure=measure, unit=unit, value=rounded, target=target, note=note)

    return [
        figure("false alarms", "per 10,000 calls", design.rate, targets.get("false alarms")),
        figure("median delay", "calls", design.delay(0.5), targets.get("median delay")),
        figure("95 % within", "calls", design.delay(0.95)),
        figure("found within 300", "share", design.found, targets.get("found within 300")),
        figure("to 16 %: median delay", "calls", harder.delay(0.5)),
        figure("to 16 %: 95 % within", "calls", harder.delay(0.95)),
        figure("to 16 %: found within 300", "share", harder.found),
        figure("cost", "µs a call", round(design.microseconds, 1)),
    ]
