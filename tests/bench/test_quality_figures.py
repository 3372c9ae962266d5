"""The kept figures of quality, and the page and pictures made of them."""

from __future__ import annotations

import re
from functools import partial
from xml.etree import ElementTree as ET

import pytest

from bench.quality.__main__ import LONGEST_FIRST, PARTS
from bench.quality.comparison import RULE, TARGETS
from bench.quality.figures import Figure, markdown, read
from bench.quality.page import PAGE, PICTURES, filled
from bench.quality.pictures import draw


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    """The figures as they are kept in the repository."""
    return read()


def test_every_part_has_figures_a_table_and_a_picture(figures: list[Figure]) -> None:
    """Each part of the programme has figures, and the page shows its table and its picture."""
    page = PAGE.read_text(encoding="utf-8")
    assert {figure.part for figure in figures} == set(PARTS) == set(LONGEST_FIRST)
    assert set(re.findall(r"<!-- table (\w+) -->", page)) == set(PARTS)
    assert set(re.findall(r"\]\(quality/(\w+)\.svg\)", page)) == set(PARTS)


def test_the_page_tells_the_kept_figures(figures: list[Figure]) -> None:
    """Every table and every marked figure of the page is as measured."""
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, figures) == page
    assert re.search(r"<!-- comparison \| ", page)


def test_pictures_show_the_kept_figures(figures: list[Figure]) -> None:
    """Every picture is the one that its figures give, and is well-formed."""
    for part, picture in draw(figures).items():
        assert (PICTURES / f"{part}.svg").read_text(encoding="utf-8") == picture
        assert ET.fromstring(picture).tag.endswith("svg")


def test_each_figure_is_named_once_and_says_why_it_is_missing(figures: list[Figure]) -> None:
    """Part, name and measure are unique, targets can be read, and a missing value has a reason."""
    names = [(figure.part, figure.name, figure.measure) for figure in figures]
    assert len(names) == len(set(names))
    for figure in figures:
        assert figure.target is None or re.fullmatch(r"(>=|<=) \d+(\.\d+)?", figure.target), figure
        assert figure.value is not None or figure.note, figure


def test_targets_of_detection_are_among_the_figures(figures: list[Figure]) -> None:
    """The rule's figures are held against what it must reach; they are reached."""
    own = {figure.measure: figure for figure in figures if figure.name == RULE and figure.target is not None}
    assert set(own) == set(TARGETS)
    assert all(figure.reached for figure in own.values())
    alerts = [figure for figure in figures if figure.part == "bad_day" and figure.target == "<= 1"]
    assert [figure.reached for figure in alerts] == [True]


def test_tables_mark_what_is_reached_and_what_is_not() -> None:
    """A cell with a target says whether it is reached; one without a value is a dash."""
    make = partial(Figure, part="sweep", measure="delay", unit="calls")
    table = markdown(
        [
            make(name="quick", value=50, target="<= 60"),
            make(name="slow", value=70, target="<= 60"),
            make(name="never", value=None, note="not found"),
        ]
    )
    assert table.splitlines()[2:] == ["| quick | 50 ✓ |", "| slow | 70 ✗ |", "| never | – |"]


def test_filling_a_page_touches_nothing_between_its_tables() -> None:
    """Empty tables are filled, text between them stays, and filling again changes nothing."""
    figures = [Figure(part=part, name="a", measure="b", unit="calls", value=1) for part in ("sweep", "spikes")]
    page = "<!-- table sweep -->\n<!-- /table -->\n\nText.\n\n<!-- table spikes -->\n<!-- /table -->\n"
    once = filled(page, figures)
    assert once.count("| a | 1 |") == 2
    assert "<!-- /table -->\n\nText.\n\n<!-- table spikes -->" in once
    assert filled(once, figures) == once


def test_a_page_that_names_an_unknown_figure_is_refused() -> None:
    """A marked figure that was not measured is an error, not an old value."""
    with pytest.raises(KeyError):
        filled("<!-- sweep | a | b -->7<!-- / -->", [])
