from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from schemas.register import SCHEMAS, Kind, load_register
from schemas.rules import Rules
from schemas.settings import Settings, load_settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The script that writes the pages."""
    spec = importlib.util.spec_from_file_location("generate_settings", DOCS / "generate_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leaves(model: BaseModel, prefix: str = "") -> dict[str, object]:
    """Every setting and its default, by key with dots."""
    found: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found |= leaves(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def same(written: str, default: object) -> bool:
    """Whether a default in the documentation is the code's."""
    if default is None:
        return written == "unset"
    if isinstance(default, Path):
        return json.loads(written) == str(default)
    # TOML has lists where the code may have records.
    return bool(json.loads(written) == json.loads(json.dumps(default)))


def test_the_settings_page_is_what_the_script_writes(generator: ModuleType) -> None:
    """Running docs/generate_settings.py would change nothing."""
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == generator.settings_page()
    for path in (DOCS / "rules").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert generator.rule_page(path.stem, text) == text


def test_every_setting_is_on_the_page_with_its_default(page: Callable[[str], Any]) -> None:
    """docs/settings.md lists all settings and no others, each with its environment variable, default and meaning."""
    rows = page("docs/settings.md").table("key", "environment variable", "default", "meaning")
    documented = {row[0].strip("`"): row for row in rows}
    defaults = leaves(Settings.model_construct())
    assert sorted(documented) == sorted(defaults)
    assert len(rows) == len(defaults)
    for key, (_, variable, default, meaning) in documented.items():
        assert variable.strip("`") == "RINGWATCH_" + key.replace(".", "__").upper()
        assert same(default.strip("`"), defaults[key]), key
        assert meaning.endswith("."), key


@pytest.mark.parametrize("rule", sorted(Rules.model_fields))
def test_a_rules_page_has_the_codes_defaults(page: Callable[[str], Any], rule: str) -> None:
    """The page of a rule lists all of its settings and no others, with the defaults of the code."""
    rows = page(f"docs/rules/{rule}.md").table("setting", "default", "meaning")
    defaults = leaves(getattr(Rules(), rule))
    assert [row[0].strip("`") for row in rows] == list(defaults)
    for name, default, _ in rows:
        assert same(default.strip("`"), defaults[name.strip("`")]), name


def test_every_rule_has_a_page_and_a_row_in_the_readme(page: Callable[[str], Any]) -> None:
    """Pages, rows in the README and rules of the code are the same."""
    rules = sorted(Rules.model_fields)
    assert sorted(path.stem for path in (DOCS / "rules").glob("*.md")) == rules
    rows = page("README.md").table("rule", "about", "fires when", "suppresses")
    assert sorted(row[0].partition("`")[2].partition("`")[0] for row in rows) == rules


def test_the_registers_columns_are_documented(page: Callable[[str], Any]) -> None:
    """docs/register.md lists the columns of each kind of rows in their order."""
    for kind, name in (
        (Kind.NUMBERS, "column"),
        (Kind.CAMPAIGNS, "column of a campaign"),
        (Kind.CONTACTS, "column of a contact"),
    ):
        rows = page("docs/register.md").table(name, "meaning")
        assert [row[0].strip("`") for row in rows] == list(SCHEMAS[kind].columns)


def test_the_register_shown_is_one(page: Callable[[str], Any], tmp_path: Path) -> None:
    """The TOML of docs/register.md and its CSV load, and say the same of the contact."""
    shown = page("docs/register.md")
    [toml] = shown.fenced("toml")
    [csv] = [block for block in shown.fenced("") if block.startswith("contact,")]
    for name, block in (("register.toml", toml), ("contacts.csv", csv)):
        (tmp_path / name).write_text(block, encoding="utf-8")
    register = load_register(tmp_path / "register.toml")
    assert (len(register), len(register.campaigns)) == (1, 1)
    assert register.contacts == load_register(None, None, tmp_path / "contacts.csv").contacts


def test_the_configuration_file_shown_is_taken(
    page: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The TOML of docs/settings.md loads, and says what the page says it does."""
    for name in [name for name in os.environ if name.startswith("RINGWATCH_")]:
        monkeypatch.delenv(name)
    (block,) = page("docs/settings.md").fenced("toml")
    path = tmp_path / "ringwatch.toml"
    path.write_text(block, encoding="utf-8")
    settings = load_settings(path)
    spike = settings.rules.volume_spike
    assert (spike.number_limit, spike.of_campaign("renewals").number_limit) == (60, 40)
    assert settings.accounts["AC0123456789abcdef0123456789abcdef"].get_secret_value() == "the auth token"
