from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ringwatch.cli import cli


def test_every_command_shown_is_understood(pages: list[Any]) -> None:
    """Each ringwatch command of the documentation has a command, options and arguments that exist."""
    shown = [(page.path.name, words) for page in pages for words in page.commands()]
    assert len(shown) > 20
    for name, words in shown:
        command = cli.commands.get(words[0])
        assert command is not None, f"{name}: {words}"
        try:
            command.make_context(words[0], list(words[1:]), resilient_parsing=False)
        except click.UsageError as error:
            pytest.fail(f"{name}: ringwatch {' '.join(words)}: {error.format_message()}")


def test_every_command_and_option_is_documented(page: Callable[[str], Any]) -> None:
    """The README lists all commands and no others, and docs/commands.md names every option of each."""
    listed = [
        row[0].strip("`").removeprefix("ringwatch ") for row in page("README.md").table("command", "what it does")
    ]
    assert sorted(listed) == sorted(cli.commands)
    text = page("docs/commands.md").text
    sections = dict(re.findall(r"^## ringwatch (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(cli.commands)
    shared = text.partition("\n## ")[0]
    for name, command in cli.commands.items():
        options = {
            option
            for one in [command, *getattr(command, "commands", {}).values()]
            for parameter in one.params
            if isinstance(parameter, click.Option)
            for option in parameter.opts
        }
        documented = set(re.findall(r"`(--[a-z-]+)", sections[name]))
        assert documented <= options, f"{name}: {documented - options} is no option"
        assert options <= documented | set(re.findall(r"`(--[a-z-]+)", shared)), f"{name}: {options - documented}"


def test_the_quick_commands_do_what_they_are_shown_to_do(
    pages: list[Any], told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every simulate, replay, check and sql command of the documentation ends well on a folder with a history."""
    for name in [name for name in os.environ if name.startswith("RINGWATCH_")]:
        monkeypatch.delenv(name)
    ran = 0
    for page in pages:
        folder = tmp_path / page.path.stem
        folder.mkdir()
        (folder / "data").symlink_to(told.folder / "data")
        monkeypatch.chdir(folder)
        for words in sorted(page.commands(), key=lambda words: words[0] != "simulate"):
            if words[0] not in {"simulate", "replay", "check", "sql"}:
                continue
            if "--out" in words and words[0] == "simulate":
                # The shortest scenario stands in for the others, which tests of the simulator run.
                words = [*words, "--scenario", "opt-out"]  # noqa: PLW2901 - the last of two options holds
            result = CliRunner().invoke(cli, words)
            assert result.exit_code == 0, f"{page.path.name}: {words}: {result.output} {result.exception!r}"
            assert result.stdout or "--out" in words, f"{page.path.name}: {words} said nothing"
            ran += 1
    assert ran > 15


def test_the_replay_line_shown_is_one(page: Callable[[str], Any], tmp_path: Path) -> None:
    """The replay line of docs/commands.md is read as a callback."""
    lines = [block for block in page("docs/commands.md").fenced("json") if "received_at" in block]
    assert len(lines) == 1
    (tmp_path / "line.ndjson").write_text(lines[0], encoding="utf-8")
    result = CliRunner().invoke(cli, ["replay", str(tmp_path / "line.ndjson")])
    assert (result.exit_code, "1 lines (0 unreadable), 1 callbacks" in result.stderr) == (0, True), result.stderr


def test_make_has_the_targets_shown(pages: list[Any]) -> None:
    """Each `make TARGET` of the documentation is a target of the Makefile."""
    makefile = (pages[0].path.parent / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    shown = {
        target
        for page in pages
        for target in [
            *re.findall(r"`make ([a-z]+)`", page.text),
            *re.findall(r"^make ([a-z]+)$", page.text, re.MULTILINE),
        ]
    }
    assert {"demo", "test"} <= shown <= targets
    setup = next(block for block in pages[0].fenced("sh") if "make" in block)
    assert setup.split("\n")[:-1] == ["make demo", "make test"]
