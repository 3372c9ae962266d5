"""The tables and figures of docs/quality.md, filled from the kept figures.

`<!-- table PART -->` to `<!-- /table -->` holds a part's table; `<!-- PART | NAME | MEASURE -->` to `<!-- / -->` holds
one figure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench.quality.figures import Figure, markdown, shown
from bench.quality.pictures import draw

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "quality.md"
PICTURES = _ROOT / "docs" / "quality"

_TABLE = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)
_FIGURE = re.compile(r"(<!-- ([^|>]+) \| ([^|>]+) \| ([^|>]+) -->)[^<]*(<!-- / -->)")


def filled(page: str, figures: Sequence[Figure]) -> str:
    """The page with every table and figure as they were measured.

    Raises:
        KeyError: the page names a figure that there is not.

    >>> one = Figure(part="sweep", name="a", measure="b", unit="calls", value=12.34)
    >>> filled("<!-- sweep | a | b -->0<!-- / -->", [one])
    '<!-- sweep | a | b -->12.3<!-- / -->'
    """
    values = {(figure.part, figure.name, figure.measure): figure.value for figure in figures}

    def table(found: re.Match[str]) -> str:
        own = [figure for figure in figures if figure.part == found[2]]
        return f"{found[1]}\n{markdown(own)}\n\n{found[3]}"

    def figure(found: re.Match[str]) -> str:
        return found[1] + shown(values[found[2], found[3], found[4]]) + found[5]

    return _FIGURE.sub(figure, _TABLE.sub(table, page))


def renew(figures: Sequence[Figure]) -> None:
    """Fill the page and draw the pictures."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for part, picture in draw(figures).items():
        (PICTURES / f"{part}.svg").write_text(picture, encoding="utf-8")
