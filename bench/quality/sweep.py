"""Delay over false alarms, as each detector's threshold goes from quick to quiet; the fall is from 35 to 12 %."""

from __future__ import annotations

from bench.quality.bocpd import judge_changepoints
from bench.quality.comparison import DESIGN_FALL, river_python
from bench.quality.figures import Figure
from bench.quality.fleet import judge_rule
from bench.quality.plain_chart import PlainChart
from bench.quality.river_task import Entry, Task, run_river
from bench.quality.traffic import NUMBERS, RATE
from bench.quality.trials import Judged, judge, make_streams
from bench.quality.windows import Window
from schemas.rules import AnswerRateCollapse
from streams.detectors.run_length import threshold

PART = "sweep"

BUDGETS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""False alarms a day that the rule is set to, for the default fleet of 10,000 calls."""

RUN_LENGTHS = (1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0)
WINDOWS = {50: (4, 5, 6, 7, 8, 9), 100: (16, 18, 20, 22, 23, 24)}
"""By length, the highest counts of answers that are an alarm. A naive share and Wilson's interval both come down to
such a count, so one curve stands for both."""

PROBABILITIES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99)
RIVER_CONFIDENCE = (0.1, 0.03, 0.01, 0.003, 0.001)
"""HDDM_A is river's best on these streams; its `drift_confidence`, by default 0.001."""


def measure() -> list[Figure]:
    """Run every detector at every threshold."""
    streams = make_streams(DESIGN_FALL)
    found: list[tuple[str, float, Judged]] = []
    for budget in BUDGETS:
        settings = AnswerRateCollapse(false_alarms_per_day=budget)
        found.append(("answer_rate_collapse, false alarms a day", budget, judge_rule(settings, (DESIGN_FALL,))[0]))
    ratio = AnswerRateCollapse().odds_ratio
    for wanted in RUN_LENGTHS:
        limit = threshold(RATE, ratio, wanted)
        judged = judge(lambda limit=limit: PlainChart(RATE, ratio, limit), streams)  # type: ignore[misc]  # a default binds it
        found.append(("plain CUSUM, run length", wanted, judged))
    for calls, counts in WINDOWS.items():
        for most in counts:
            judged = judge(lambda calls=calls, most=most: Window(calls, most), streams)  # type: ignore[misc]  # as above
            found.append((f"naive or Wilson, answers of {calls}", most, judged))
    for probability, judged in zip(PROBABILITIES, judge_changepoints(PROBABILITIES, streams), strict=True):
        found.append(("BOCPD, P", probability, judged))
    entries = [Entry("HDDM_A", {"drift_confidence": confidence}, NUMBERS) for confidence in RIVER_CONFIDENCE]
    for confidence, judged_streams in zip(
        RIVER_CONFIDENCE, run_river(river_python(), Task(entries, [streams])), strict=True
    ):
        found.append(("river HDDM_A, confidence", confidence, judged_streams[0]))
    return [figure for name, setting, judged in found for figure in _figures(name, setting, judged)]


def _figures(name: str, setting: float, judged: Judged) -> list[Figure]:
    row = f"{name} {setting:g}"

    def figure(measure: str, unit: str, value: float | None) -> Figure:
        rounded = None if value is None else round(value, 4)
        note = "" if rounded is not None else "fewer than that were found"
        return Figure(part=PART, name=row, measure=measure, unit=unit, value=rounded, note=note)

    return [
        figure("false alarms", "per 10,000 calls", judged.rate),
        figure("median delay", "calls", judged.delay(0.5)),
        figure("95 % within", "calls", judged.delay(0.95)),
        figure("found within 300", "share", judged.found),
    ]
