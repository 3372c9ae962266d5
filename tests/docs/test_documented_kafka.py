from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Kafka, SaslMechanism, Settings, load_settings
from streams.transports.kafka import connection

_PAGE = "docs/kafka.md"


@pytest.fixture
def load(page: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Settings]:
    """Load one of the page's TOML blocks together with what its shell blocks export; the files it names are there."""
    for name in [name for name in os.environ if name.startswith("RINGWATCH_")]:
        monkeypatch.delenv(name)

    def call(number: int) -> Settings:
        block = page(_PAGE).fenced("toml")[number].replace("/etc/ringwatch", str(tmp_path))
        for path in re.findall(rf"{tmp_path}/[\w.]+", block):
            Path(path).touch()
        config = tmp_path / "ringwatch.toml"
        config.write_text(block, encoding="utf-8")
        return load_settings(config)

    return call


def exports(page: Any) -> dict[str, str]:
    """What the shell blocks of the page export."""
    lines = [shlex.split(line) for block in page.fenced("sh") for line in block.splitlines()]
    return dict(words[1].split("=", 1) for words in lines if words[:1] == ["export"])


def test_the_password_example_is_taken(
    page: Callable[[str], Any], load: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The TOML for SASL over TLS loads with the password that is exported, and asks for both."""
    variable = "RINGWATCH_KAFKA__SASL_PASSWORD"
    monkeypatch.setenv(variable, exports(page(_PAGE))[variable])
    settings = load(0)
    assert settings.bootstrap_servers == ["kafka-1:9093", "kafka-2:9093"]
    assert (settings.kafka.uses_tls, settings.kafka.uses_sasl) == (True, True)
    assert settings.kafka.sasl_mechanism is SaslMechanism.SCRAM_SHA_512
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "the password"


def test_the_certificate_example_is_taken(load: Callable[[int], Settings]) -> None:
    """The TOML for a certificate of the client's own loads, and asks for TLS alone."""
    kafka = load(1).kafka
    assert (kafka.uses_tls, kafka.uses_sasl) == (True, False)
    assert kafka.certificate_file is not None
    assert kafka.key_file is not None


def test_the_broker_example_is_taken(page: Callable[[str], Any]) -> None:
    """The URL of the brokers is one, and each variable that the page names is a setting."""
    settings = load_settings(broker=exports(page(_PAGE))["RINGWATCH_BROKER"])
    assert settings.bootstrap_servers == ["kafka-1:9092", "kafka-2:9092"]
    named = re.findall(r"RINGWATCH_KAFKA__(\w+)", page(_PAGE).text)
    assert {name.lower() for name in named} == {"sasl_password", "key_password"}
    for key in re.findall(r"`kafka\.(\w+)`", page(_PAGE).text):
        assert key in Kafka.model_fields


def test_the_wait_at_start_is_as_documented(page: Callable[[str], Any]) -> None:
    """The page names the seconds that are waited for a broker at start."""
    seconds = connection._BOOTSTRAP_MILLISECONDS // 1_000
    assert f"waits {seconds} seconds for a broker" in page(_PAGE).text
