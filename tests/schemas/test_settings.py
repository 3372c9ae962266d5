from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.alert import Severity
from schemas.rules import Rules
from schemas.settings import ConfigurationError, Settings, load_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variables of this machine, and a working directory without a configuration file."""
    for name in [name for name in os.environ if name.upper().startswith("RINGWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "ringwatch.toml") -> Path:
    """Write a configuration file into the working directory."""
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(config: Path | None = None, **overrides: object) -> str:
    """The text with which settings are refused."""
    with pytest.raises(ConfigurationError) as refused:
        load_settings(config, **overrides)
    return str(refused.value)


def test_defaults_need_nothing() -> None:
    """Without a file and variables everything has its default, and the data lies in ./data."""
    settings = load_settings()
    assert settings.model_dump() == Settings.model_construct().model_dump()
    assert (settings.log_path, settings.history_path) == (Path("data/log"), Path("data/history.duckdb"))
    assert (settings.host, settings.port, settings.on_loopback) == ("127.0.0.1", 8080, True)


def test_the_command_line_stands_above_the_environment_and_that_above_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three values the command line's holds, then the environment's, then the file's, then the default."""
    write('http = "127.0.0.1:1"\npartitions = 2\nlateness_seconds = 60\n[limits]\nparameters = 20\nbody_bytes = 2048\n')
    monkeypatch.setenv("RINGWATCH_HTTP", "127.0.0.1:2")
    monkeypatch.setenv("RINGWATCH_PARTITIONS", "3")
    monkeypatch.setenv("RINGWATCH_LIMITS__PARAMETERS", "30")
    settings = load_settings(http="127.0.0.1:3", data=None)
    assert (settings.http, settings.partitions, settings.lateness_seconds) == ("127.0.0.1:3", 3, 60.0)
    assert (settings.limits.parameters, settings.limits.body_bytes) == (30, 2_048)
    assert settings.limits.parameter_length == 16_384
    assert settings.data == Path("data")


def test_a_variable_reaches_into_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two underscores stand for a dot; the rule's other settings stay as the file has them."""
    write('[rules.volume_spike]\nnumber_limit = 60\nseverity = "info"\n')
    monkeypatch.setenv("RINGWATCH_RULES__VOLUME_SPIKE__NUMBER_LIMIT", "40")
    spike = load_settings().rules.volume_spike
    assert (spike.number_limit, spike.severity, spike.bucket_minutes) == (40, Severity.INFO, 5)


def test_a_named_file_takes_the_place_of_the_usual_one() -> None:
    """With --config the file in the working directory is not read."""
    write("partitions = 2\n")
    named = write("lateness_seconds = 7\n", "other.toml")
    settings = load_settings(named)
    assert (settings.partitions, settings.lateness_seconds) == (1, 7.0)


def test_secrets_do_not_show_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are read, and neither printed nor written with the settings."""
    monkeypatch.setenv("RINGWATCH_ACCOUNTS", '{"AC1": "hush"}')
    monkeypatch.setenv("RINGWATCH_SHARED_KEYS", '{"K1": "hush"}')
    monkeypatch.setenv("RINGWATCH_API_TOKEN", "hush")
    settings = load_settings()
    assert settings.accounts["AC1"].get_secret_value() == "hush"
    assert "hush" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('http = "here"', "http: ", "write HOST:PORT, e.g. 127.0.0.1:8080"),
        ('http = "127.0.0.1:70000"', "http: ", "write HOST:PORT"),
        ('public_url = "hooks.example.com"', "public_url: ", "e.g. https://hooks.example.com"),
        ('public_url = "https://hooks.example.com/a?b=c"', "public_url: ", "write the base as Twilio sees it"),
        ("partitions = 0", "partitions: ", "greater than or equal to 1"),
        ('trusted_proxies = ["10.0.0.300/8"]', "trusted_proxies.0: ", "not a valid IPv4 network"),
        ("[limits]\nbody_bytes = 1", "limits.body_bytes: ", "greater than or equal to 1024"),
        ("[limits]\nbody = 1", "limits.body: ", "no such setting; docs/settings.md lists them all"),
        ("colour = 1", "colour: ", "no such setting"),
        ("[rules.no_such]\nenabled = true", "rules.no_such: ", "no such setting"),
        ("[rules.volume_spike]\nbucket_minutes = 7", "rules.volume_spike: ", "write 1, 2, 3, 4, 5, 6, 10, 12"),
        ('[rules.opt_out]\nseverity = "loud"', "rules.opt_out.severity: ", "'info', 'warning' or 'critical'"),
        ("[rules.answer_rate_collapse]\nodds_ratio = 1.5", "rules.answer_rate_collapse.odds_ratio: ", "less than 1"),
        (
            "[rules.volume_spike.campaigns.renewals]\nnumber_limit = 0",
            "rules.volume_spike: campaigns.renewals.number_limit: ",
            "greater than or equal to 1",
        ),
        ('broker = "kafka://"', "broker: ", "write kafka://HOST:PORT,HOST:PORT, e.g. kafka://127.0.0.1:9092"),
        ('broker = "kafka://one:9092,two"', "broker: ", "write kafka://HOST:PORT,HOST:PORT"),
        ('broker = "kafka://one:0"', "broker: ", "write kafka://HOST:PORT,HOST:PORT"),
        ('broker = "redis://one:6379"', "broker: ", "write local:///PATH or kafka://HOST:PORT,HOST:PORT"),
        ('[kafka]\nsecurity_protocol = "TLS"', "kafka.security_protocol: ", "'SASL_PLAINTEXT'"),
        ("[kafka]\nappend_seconds = 20", "kafka.append_seconds: ", "less than or equal to 14"),
        ('[kafka]\nsecurity_protocol = "SASL_SSL"', "kafka: ", "sasl_username: missing; security_protocol SASL_SSL"),
        (
            '[kafka]\nsecurity_protocol = "SASL_PLAINTEXT"\nsasl_username = "u"',
            "kafka: ",
            "sasl_password: missing; security_protocol SASL_PLAINTEXT needs it",
        ),
        ('[kafka]\nsasl_username = "u"', "kafka: ", "sasl_username: security_protocol PLAINTEXT does not use it"),
        ('[kafka]\nca_file = "ringwatch.toml"', "kafka: ", "ca_file: security_protocol PLAINTEXT does not use it"),
        (
            '[kafka]\nsecurity_protocol = "SSL"\nca_file = "none.pem"',
            "kafka: ",
            "ca_file: none.pem is no file; name a PEM file that is there",
        ),
        (
            '[kafka]\nsecurity_protocol = "SSL"\nkey_file = "ringwatch.toml"',
            "kafka: ",
            "certificate_file: missing; key_file is the key of a certificate",
        ),
        (
            '[kafka]\nsecurity_protocol = "SSL"\nkey_password = "hush"',
            "kafka: ",
            "certificate_file: missing; key_password",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(text: str, key: str, hint: str) -> None:
    """The error names the key, what was given, and what to write."""
    write(text + "\n")
    said = refusal()
    assert said.startswith(key), said
    assert hint in said


def test_all_wrong_values_are_named_at_once() -> None:
    """Two errors in a file are two lines."""
    write('http = "here"\npartitions = 0\n')
    assert [line.partition(":")[0] for line in refusal().splitlines()] == ["http", "partitions"]


def test_files_that_cannot_be_read_are_named() -> None:
    """A file that is not there, and one that is no TOML, are named in the error."""
    assert refusal(Path("none.toml")).startswith("none.toml: no such file; name an existing file with --config")
    assert refusal(write("a = [\n", "broken.toml")).startswith("broken.toml: ")


@pytest.mark.parametrize("variable", ["RINGWATCH_PARTITION", "RINGWATCH_PUBLICURL", "RINGWATCH_LIMIT__PARAMETERS"])
def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A misspelt variable is no silent default."""
    monkeypatch.setenv(variable, "1")
    assert refusal() == f"{variable}: no such setting; docs/settings.md lists them all"


def test_an_unknown_variable_of_a_section_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable inside a section is named by its key."""
    monkeypatch.setenv("RINGWATCH_LIMITS__PARAMETER", "1")
    assert refusal() == "limits.parameter: no such setting; docs/settings.md lists them all"


def test_other_variables_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the test suite, and those of other programs, are left alone."""
    monkeypatch.setenv("RINGWATCH_TEST_KAFKA", "127.0.0.1:9092")
    monkeypatch.setenv("RINGWATCHER", "1")
    assert load_settings().partitions == 1


@pytest.mark.parametrize(
    ("http", "host", "port", "local"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0, True),
        ("localhost:80", "localhost", 80, True),
        ("[::1]:8080", "::1", 8080, True),
        ("127.8.9.1:8080", "127.8.9.1", 8080, True),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False),
        ("[::]:8080", "::", 8080, False),
        ("hooks.example.com:443", "hooks.example.com", 443, False),
    ],
)
def test_what_is_on_loopback(http: str, host: str, port: int, local: bool) -> None:
    """An address is this machine's own only where nobody else can reach it."""
    settings = load_settings(http=http)
    assert (settings.host, settings.port, settings.on_loopback) == (host, port, local)


def test_the_broker_names_the_logs_file() -> None:
    """A local:// broker is the path of the log; without one it lies in the data folder."""
    assert load_settings(broker="local:///var/lib/log").log_path == Path("/var/lib/log")
    assert load_settings(data=Path("here")).log_path == Path("here/log")


def test_a_campaign_has_its_own_values_and_shares_the_rest() -> None:
    """What a campaign sets holds for it alone; all else is the rule's."""
    rule = Rules.model_validate(
        {
            "answer_rate_collapse": {
                "recovery_calls": 30,
                "campaigns": {"renewals": {"odds_ratio": 0.5, "enabled": False}},
            }
        }
    ).answer_rate_collapse
    own, others = rule.of_campaign("renewals"), rule.of_campaign("spring-sale")
    assert (own.odds_ratio, own.enabled, own.recovery_calls) == (0.5, False, 30)
    assert others is rule
    assert (others.odds_ratio, others.enabled, rule.of_campaign(None)) == (0.3, True, rule)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[accounts]\nAC1 = 8765", "accounts.AC1: "),
        ("[kafka]\nsasl_password = 8765", "kafka.sasl_password: "),
        ("[kafka]\nkey_password = 8765", "kafka.key_password: "),
        ('[kafka]\nsasl_password = "8765"', "kafka: sasl_password: "),
    ],
)
def test_a_secret_that_is_refused_is_not_shown(text: str, key: str) -> None:
    """The error of a token or password names its key and never what was written there."""
    write(text + "\n")
    said = refusal()
    assert said.startswith(key)
    assert "8765" not in said


def test_a_wrong_broker_is_all_that_is_said() -> None:
    """Settings whose default follows from the broker are not complained about as well."""
    said = refusal(broker="kafka:/one:9092")
    assert said.startswith("broker: ")
    assert len(said.splitlines()) == 1


def test_kafka_is_named_by_its_brokers() -> None:
    """A kafka:// broker gives its addresses, and twelve partitions where no other number is set."""
    settings = load_settings(broker="kafka://one:9092,[::1]:9093")
    assert (settings.on_kafka, settings.bootstrap_servers) == (True, ["one:9092", "[::1]:9093"])
    assert (settings.partitions, load_settings(broker="kafka://one:9092", partitions=3).partitions) == (12, 3)
    assert not load_settings().on_kafka


def test_a_variable_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table in the environment is JSON; what is none is refused by the variable's name, with an example."""
    monkeypatch.setenv("RINGWATCH_ACCOUNTS", "AC1=token")
    assert refusal().startswith('RINGWATCH_ACCOUNTS: write JSON, e.g. {"AC')
