from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from dotenv import dotenv_values

from ringwatch.cli import cli
from schemas.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
_VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]*)?\}")
_FILLED_IN = {"RINGWATCH_API_TOKEN": "a token", "GRAFANA_PASSWORD": "a password"}


def example() -> dict[str, str]:
    """What .env.example gives, with what has to be filled in."""
    given = dotenv_values(ROOT / ".env.example", interpolate=False)
    return {name: value or "" for name, value in given.items()} | _FILLED_IN


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run ringwatch."""
    return {name: service for name, service in compose["services"].items() if service["image"] == "ringwatch:local"}


def environment_of(service: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """What a service's process finds in its environment, variables filled in as Compose does."""
    passed = {
        name: given.get(name) if value is None else _VARIABLE.sub(lambda found: given[found[1]], str(value))
        for name, value in service["environment"].items()
    }
    return {name: value for name, value in passed.items() if value is not None}


def test_the_parsers_are_there_in_ci() -> None:
    """CI has what these tests read the files with, so that none of them is skipped for the lack of it."""
    if not os.environ.get("CI"):
        pytest.skip("not in CI")
    for name in ("yaml", "jsonschema", "promql_parser"):
        assert importlib.util.find_spec(name), f"{name} is missing: add it to the group `test`"


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    """The file is valid by the Compose specification's own JSON schema, which refuses what is not."""
    jsonschema = pytest.importorskip("jsonschema", reason="it is not installed; it is in the group `test`")
    schema = msgspec.json.decode((ROOT / "tests/deploy/compose-spec/compose-spec.json").read_bytes())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []
    assert not validator.is_valid({"services": {"kafka": {"image": "apache/kafka", "stop_grace_periode": "30s"}}})


def test_compose_itself_takes_it(run_compose: Any, tmp_path: Path) -> None:
    """Docker Compose resolves the file with the example's variables, and refuses it without them."""
    given = tmp_path / "env"
    given.write_text("".join(f"{name}='{value}'\n" for name, value in example().items()), encoding="utf-8")
    resolved = run_compose("--env-file", str(given), "config", "--format", "json")
    assert resolved.returncode == 0, resolved.stderr
    gateway = msgspec.json.decode(resolved.stdout)["services"]["gateway"]["environment"]
    assert msgspec.json.decode(gateway["RINGWATCH_ACCOUNTS"]) == msgspec.json.decode(example()["RINGWATCH_ACCOUNTS"])
    given.write_text("", encoding="utf-8")
    refused = run_compose("--env-file", str(given), "config")
    assert refused.returncode != 0
    assert "write it in .env" in refused.stderr


def test_each_command_is_one_of_ringwatchs(compose: dict[str, Any]) -> None:
    """Every service of ringwatch runs a command, with arguments, that the command line understands."""
    commands = {name: service["command"] for name, service in ours(compose).items()}
    assert {words[0] for words in commands.values()} == {"topics", "gateway", "worker", "history", "feed"}
    for name, words in commands.items():
        command: click.Command = cli
        while isinstance(command, click.Group):
            assert words[0] in command.commands, f"{name}: {words}"
            command, words = command.commands[words[0]], words[1:]  # noqa: PLW2901 - a group and then its command
        try:
            command.make_context(name, list(words))
        except click.UsageError as error:
            pytest.fail(f"{name}: {error.format_message()}")


def test_the_settings_of_each_service_hold(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every service's environment and configuration file are taken as settings; only gateways get Twilio's secrets."""
    monkeypatch.chdir(ROOT / "deploy" / "ringwatch")
    for name in [name for name in os.environ if name.startswith("RINGWATCH_")]:
        monkeypatch.delenv(name)
    for name, service in ours(compose).items():
        environment = environment_of(service, example())
        with monkeypatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            settings = load_settings()
        assert settings.bootstrap_servers == ["kafka:9092"], name
        assert settings.api_token is not None, name
        assert bool(settings.accounts) is (name == "gateway"), name


def test_each_worker_has_a_name_of_its_own(compose: dict[str, Any]) -> None:
    """Workers are named apart, by the name of their service, so that a restart moves no partition."""
    workers = {name: one for name, one in ours(compose).items() if one["command"] == ["worker"]}
    assert len(workers) >= 2
    for name, service in workers.items():
        assert (service["hostname"], service["environment"]["RINGWATCH_KAFKA__WORKER"]) == (name, name)


def test_nothing_is_published_beyond_this_machine(compose: dict[str, Any]) -> None:
    """Ports are published on loopback only, each once, and of Kafka, workers and history none is."""
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert set(published) == {"gateway", "feed", "prometheus", "grafana"}
    ports = [port for ports in published.values() for port in ports]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


def test_each_service_is_kept_running_and_stopped_in_peace(compose: dict[str, Any]) -> None:
    """Every service but the one that makes the topics is started again, and has 30 seconds to stop."""
    for name, service in compose["services"].items():
        assert service["restart"] == ("no" if name == "topics" else "unless-stopped"), name
        assert service["stop_grace_period"] == "30s", name
    for name in set(ours(compose)) - {"topics"}:
        waits_for = compose["services"][name]["depends_on"]
        assert waits_for["topics"] == {"condition": "service_completed_successfully"}, name


def test_ringwatch_runs_with_few_rights(compose: dict[str, Any]) -> None:
    """Services of ringwatch have no capabilities and a file system that can't be written, but for data and /tmp."""
    for name, service in ours(compose).items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert "/tmp" in service["tmpfs"], name
        places = [*service["tmpfs"], *(volume.partition(":")[2] for volume in service["volumes"])]
        assert any(place.startswith("/var/lib/ringwatch") for place in places), name


def test_kafka_makes_no_topic_by_itself(compose: dict[str, Any]) -> None:
    """The broker is its own controller, makes no topics by itself, has a volume for its data and a bounded heap."""
    kafka = compose["services"]["kafka"]
    environment = kafka["environment"]
    assert kafka["image"].startswith("apache/kafka:4.")
    assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert f"kafka:{environment['KAFKA_LOG_DIRS']}" in kafka["volumes"]
    assert "-Xmx" in environment["KAFKA_HEAP_OPTS"]


@pytest.mark.kafka
def test_kafka_starts_with_the_settings_given(compose: dict[str, Any], kafka_cluster: Callable[..., Any]) -> None:
    """Apache Kafka takes every setting of the compose file, but for addresses and folders, which are this machine's."""
    environment: dict[str, Any] = compose["services"]["kafka"]["environment"]
    properties = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in environment.items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }
    here = {"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs"}
    assert here < set(properties)
    kept = {name: value for name, value in properties.items() if name not in here}
    cluster = kafka_cluster(brokers=1, properties=kept)
    assert cluster.running == [1]


def test_what_is_mounted_is_there(compose: dict[str, Any]) -> None:
    """Each file or folder that a service mounts exists, and each volume and secret it names is declared."""
    mounted = 0
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), f"{name}: {source}"
                assert volume.endswith(":ro"), f"{name}: {volume}"
                mounted += 1
            else:
                assert source in compose["volumes"], f"{name}: {source}"
        for secret in service.get("secrets", []):
            assert secret["source"] in compose["secrets"], name
    assert mounted > 5


def test_each_variable_is_in_the_example(compose: dict[str, Any]) -> None:
    """.env.example names all that the compose file takes from .env, and neither file has a secret in it."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE))
    asked = {found[0] for found in _VARIABLE.findall((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))}
    asked |= {secret["environment"] for secret in compose["secrets"].values()}
    for service in compose["services"].values():
        asked |= {name for name, value in service.get("environment", {}).items() if value is None}
    assert named == asked
    given = dotenv_values(ROOT / ".env.example", interpolate=False)
    assert [given[name] for name in _FILLED_IN] == ["", ""]
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"TOKEN|PASSWORD|ACCOUNTS|KEYS", name):
                assert value is None or value.startswith(("${", "/run/secrets/")), name


def test_git_ignores_the_secrets() -> None:
    """.env is ignored by git, and .env.example is not."""
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", ".env", ".env.example"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout.split() == [".env"], ignored.stderr
