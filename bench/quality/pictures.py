"""The pictures of docs/quality.md, drawn from the kept figures alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.quality.figures import Figure
from bench.quality.svg import Axis, Point, Series, chart

Lines = dict[str, dict[str, float | None]]

FALSE_ALARMS = "false alarms per 10,000 calls"


def draw(figures: Sequence[Figure]) -> dict[str, str]:
    """Draw a picture for every part that has figures; returns SVG by part."""
    found: dict[str, str] = {}
    for part, picture in _PICTURES.items():
        lines: Lines = {}
        for figure in figures:
            if figure.part == part:
                lines.setdefault(figure.name, {})[figure.measure] = figure.value
        if lines:
            found[part] = picture(lines)
    return found


def _points(lines: Lines, x: str, y: str) -> list[Point]:
    """The points of the lines that have both values."""
    pairs = [(line.get(x), line.get(y)) for line in lines.values()]
    return [(one, other) for one, other in pairs if one is not None and other is not None]


def _groups(lines: Lines, key: Callable[[str], str]) -> dict[str, Lines]:
    groups: dict[str, Lines] = {}
    for name, line in lines.items():
        groups.setdefault(key(name), {})[name] = line
    return groups


def _run_lengths(lines: Lines) -> str:
    groups = _groups(lines, lambda name: "shares that rise" if name.startswith("fault") else "rates that fall")
    series = [
        Series(name, _points(own, "run length, exact", "simulated"), joined=False) for name, own in groups.items()
    ]
    series.append(Series("equal", [(800.0, 800.0), (200_000.0, 200_000.0)]))
    return chart(
        "Calls between false alarms of one chart",
        Axis("exact, by Markov chain", 800, 200_000, logarithmic=True),
        Axis("simulated with the product's chart", 800, 200_000, logarithmic=True),
        series,
    )


def _comparison(lines: Lines) -> str:
    series = [
        Series(name, points, joined=False)
        for name, line in lines.items()
        if (points := _points({name: line}, "false alarms", "median delay"))
    ]
    return _delay_over_false_alarms("A fall from 35 to 12 %: each detector", series)


def _sweep(lines: Lines) -> str:
    groups = _groups(lines, lambda name: name.rsplit(" ", 1)[0].partition(", false")[0])
    series = [Series(name, _points(own, "false alarms", "median delay")) for name, own in groups.items()]
    return _delay_over_false_alarms("A fall from 35 to 12 %: quick against quiet", series)


def _delay_over_false_alarms(title: str, series: Sequence[Series]) -> str:
    return chart(
        title,
        Axis(f"{FALSE_ALARMS} (at the left edge: 0.01 or fewer)", 0.01, 100, logarithmic=True),
        Axis("median delay, calls", 0, 180),
        series,
    )


def _day_noise(lines: Lines) -> str:
    measures = list(dict.fromkeys(measure for line in lines.values() for measure in line))
    series = []
    for measure in measures:
        points = [
            (float(name.rpartition(" ")[2]), value)
            for name, line in lines.items()
            if (value := line.get(measure)) is not None and not measure.startswith("±")
        ]
        if points:
            series.append(Series(measure, points))
    return chart(
        "Days that differ by more than chance",
        Axis("rho, share of the variance that lies between days", 0, 0.05),
        Axis(FALSE_ALARMS, 0.05, 20, logarithmic=True),
        series,
    )


def _bad_day(lines: Lines) -> str:
    wanted = [
        "number alerts that fire, the rule",
        "chart without peers, set for 1 in 10,000",
        "chart without peers, the rule's threshold",
    ]
    values = [(name, lines[name]["value"]) for name in wanted if name in lines]
    series = [
        Series(name, [(index + 1.0, 0.0), (index + 1.0, value)])
        for index, (name, value) in enumerate(values)
        if value is not None
    ]
    return chart(
        "Number alerts on a campaign-wide bad day", Axis("", 0.5, 3.5), Axis("alerts of 40 numbers", 0, 16), series
    )


def _shares(lines: Lines) -> str:
    shares = {name: float(name.partition("%")[0]) for name in lines}
    series = [
        Series(
            f"odds × {rise}",
            [
                (shares[name], delay)
                for name, line in lines.items()
                if (delay := line.get(f"odds × {rise}: median delay"))
            ],
        )
        for rise in (3, 6)
    ]
    return chart(
        "A share that rises on one number",
        Axis("usual share, % of the calls", 0.8, 40, logarithmic=True),
        Axis("median delay, calls of the number", 0, 400),
        series,
    )


def _spikes(lines: Lines) -> str:
    series = []
    for name, line in lines.items():
        points = [
            (factor, found) for factor in (1.5, 2.0, 3.0) if (found := line.get(f"× {factor:g} found")) is not None
        ]
        series.append(Series(f"{name}: {line['false alarms']:g} a day", points))
    return chart(
        "Spikes on real call volumes (false alarms in the legend)",
        Axis("calls over the usual, times", 1.4, 3.1),
        Axis("share found", 0, 1),
        series,
    )


def _oracle(lines: Lines) -> str:
    return chart(
        "The chain beside R's surveillance",
        Axis("surveillance, calls", 200, 10_000, logarithmic=True),
        Axis("chain, calls", 200, 10_000, logarithmic=True),
        [
            Series("charts", _points(lines, "surveillance", "chain"), joined=False),
            Series("equal", [(200.0, 200.0), (10_000.0, 10_000.0)]),
        ],
    )


_PICTURES: dict[str, Callable[[Lines], str]] = {
    "run_lengths": _run_lengths,
    "comparison": _comparison,
    "sweep": _sweep,
    "day_noise": _day_noise,
    "bad_day": _bad_day,
    "shares": _shares,
    "spikes": _spikes,
    "oracle": _oracle,
}
