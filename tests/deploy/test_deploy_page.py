from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import msgspec

from ringwatch.cli import cli

ROOT = Path(__file__).resolve().parents[2]
_TEXT = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
# Of each subcommand of Compose that the page uses: the options it shows.
_OPTIONS = {
    "up": {"--build", "--detach"},
    "ps": set(),
    "exec": set(),
    "run": {"--rm"},
    "restart": set(),
    "stop": set(),
    "down": {"--volumes"},
}


def fenced(language: str) -> list[str]:
    """The page's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL)


def compose_commands() -> list[list[str]]:
    """The page's Compose commands, split as a shell would, without `docker compose`."""
    lines = [line for block in fenced("sh") for line in block.splitlines()]
    lines += re.findall(r"`(docker compose [^`]+)`", _TEXT)
    return [words[2:] for words in map(shlex.split, lines) if words[:2] == ["docker", "compose"]]


def understood(words: list[str]) -> None:
    """Fail unless ringwatch's command line understands these words."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("ringwatch", list(words))


def test_each_command_names_what_there_is(compose: dict[str, Any]) -> None:
    """Compose commands on the page use known options and services, and what they run there ringwatch understands."""
    commands = compose_commands()
    assert len(commands) > 8
    for subcommand, *words in commands:
        options = [word for word in words if word.startswith("--")]
        within = subcommand in {"exec", "run"}
        place = next((at for at, word in enumerate(words) if not word.startswith("--")), len(words))
        before = words[:place] if within else options
        assert set(before) <= _OPTIONS[subcommand], words
        services = words[place : place + 1] if within else [word for word in words if word not in options]
        assert set(services) <= set(compose["services"]), words
        if within:
            inside = words[place + 1 :]
            understood(inside[1:] if subcommand == "exec" else inside)
            assert subcommand == "run" or inside[0] == "ringwatch"


def test_each_service_is_on_the_page(compose: dict[str, Any]) -> None:
    """The page's table has every service, with the address that is published."""
    rows = re.findall(r"^\| (`[a-z].*?) \| (.*?) \| ?(.*?) ?\|$", _TEXT.partition("\n## TLS")[0], re.MULTILINE)
    listed = {name: re.findall(r"`([\d.:]+)`", row[2]) for row in rows for name in re.findall(r"`([\w-]+)`", row[0])}
    published = {
        name: [port.rpartition(":")[0] for port in service.get("ports", [])]
        for name, service in compose["services"].items()
    }
    assert listed == published


def test_the_third_worker_is_one(run_compose: Any, compose: dict[str, Any], tmp_path: Path) -> None:
    """With the override shown, Compose has a third worker like the others, under a name of its own."""
    (override,) = fenced("yaml")
    file = tmp_path / "docker-compose.override.yml"
    file.write_text(override.replace("docker-compose.yml", str(ROOT / "docker-compose.yml")), encoding="utf-8")
    variables = tmp_path / "env"
    variables.write_text("RINGWATCH_API_TOKEN=a\nGRAFANA_PASSWORD=b\nRINGWATCH_ACCOUNTS='{}'\n", encoding="utf-8")
    given = ("--env-file", str(variables), "--file", str(ROOT / "docker-compose.yml"), "--file", str(file))
    resolved = run_compose(*given, "config", "--format", "json")
    assert resolved.returncode == 0, resolved.stderr
    services = msgspec.json.decode(resolved.stdout)["services"]
    assert set(services) == {*compose["services"], "worker-3"}
    renamed = msgspec.json.encode(services["worker-1"]).replace(b"worker-1", b"worker-3")
    assert services["worker-3"] == msgspec.json.decode(renamed)
