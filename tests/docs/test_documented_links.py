from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:schemas|streams|sinks|ringwatch|tests|bench|docs)/[\w./-]*)`")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(pages: list[Any]) -> None:
    """Each link within the documentation leads to a file and a heading that are there."""
    texts = {page.path: page.text for page in pages}
    found = 0
    for page in pages:
        for target in _LINK.findall(page.text):
            if target.startswith(("http://", "https://")):
                continue
            name, _, anchor = target.partition("#")
            path = (page.path.parent / name).resolve() if name else page.path
            assert path.exists(), f"{page.path.name}: {target}"
            if anchor:
                assert anchor in anchors(texts[path]), f"{page.path.name}: {target}"
            found += 1
    assert found > 30


def test_files_named_are_there(pages: list[Any]) -> None:
    """Each path of the source tree that the documentation names exists."""
    root: Path = pages[0].path.parent
    named = {(page.path.name, path) for page in pages for path in _PATH.findall(page.text)}
    assert len(named) > 20
    for name, path in named:
        assert (root / path).exists(), f"{name}: {path}"


def test_every_page_is_linked_from_another(pages: list[Any]) -> None:
    """No page of the documentation is left where nobody finds it."""
    linked = {
        (page.path.parent / target.partition("#")[0]).resolve()
        for page in pages
        for target in _LINK.findall(page.text)
        if not target.startswith("http")
    }
    assert [page.path.name for page in pages if page.path not in linked and page.path.name != "README.md"] == []
