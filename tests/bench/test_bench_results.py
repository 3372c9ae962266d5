"""The kept results of the measurements."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]


class Figure(msgspec.Struct, forbid_unknown_fields=True):
    measurement: str
    name: str
    unit: str
    value: float | None
    against: str | None
    ratio: float | None
    target: str | None
    note: str


class Machine(msgspec.Struct, forbid_unknown_fields=True):
    cpu: str
    cores: int
    python: str
    sqlite: str
    duckdb: str
    date: str


class Results(msgspec.Struct, forbid_unknown_fields=True):
    machine: Machine
    results: list[Figure]


@pytest.fixture
def results() -> Results:
    """The results as they are kept in the repository."""
    return msgspec.json.decode((ROOT / "bench" / "results.json").read_bytes(), type=Results)


def test_results_hold_every_measurement_that_the_programme_names(results: Results) -> None:
    """Each measurement named in bench/__main__.py has at least one figure, and no figure is of another."""
    text = (ROOT / "bench" / "__main__.py").read_text(encoding="utf-8")
    named = set(re.findall(r'^    "([a-z-]+)": \w+\.measure,$', text, re.MULTILINE))
    assert named
    assert {figure.measurement for figure in results.results} == named


def test_each_figure_has_a_name_of_its_own(results: Results) -> None:
    """No two figures share a name, so that runs can be compared by it."""
    names = [figure.name for figure in results.results]
    assert len(names) == len(set(names))


def test_each_figure_says_what_it_is_compared_with(results: Results) -> None:
    """A ratio comes with what it is against, a target with a sign and a bound, a missing value with a reason."""
    for figure in results.results:
        assert (figure.against is None) == (figure.ratio is None), figure.name
        assert figure.target is None or re.fullmatch(r"(>=|<=) \d+(\.\d+)?", figure.target), figure.name
        assert figure.value is not None or figure.note, figure.name
