"""Settings: `ringwatch.toml` and RINGWATCH_ environment variables, checked at start."""

from __future__ import annotations

import os
import re
import socket
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from schemas.alerting import Alerting
from schemas.rules import Rules

DEFAULT_CONFIG = Path("ringwatch.toml")


class ConfigurationError(Exception):
    """A setting or register that can't be used; the text names the key or line and says what to write."""


_LAST_PORT = 65_535


def _check_base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("write the base as Twilio sees it, e.g. https://hooks.example.com")
    return url.rstrip("/")


def _check_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > _LAST_PORT:
        raise ValueError("write HOST:PORT, e.g. 127.0.0.1:8080")
    return address


def _check_twilio_url(url: str) -> str:
    parts = urlsplit(url)
    # Requests carry the account's secret.
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise ValueError("write http:// and an address of this machine, or leave it out for Twilio's own")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_secret(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("empty, and anybody could sign with that; write the secret, or leave the entry out")
    return secret


_KAFKA = "kafka://"
_LOCAL = "local://"


def _check_broker(broker: str) -> str:
    if broker.startswith(_KAFKA):
        for address in broker.removeprefix(_KAFKA).split(","):
            host, _, port = address.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) <= _LAST_PORT:
                raise ValueError("write kafka://HOST:PORT,HOST:PORT, e.g. kafka://127.0.0.1:9092")
    elif broker and not broker.startswith(_LOCAL):
        raise ValueError("write local:///PATH or kafka://HOST:PORT,HOST:PORT, or leave it out")
    return broker


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Section):
    """What a request may measure at most."""

    body_bytes: int = Field(65_536, ge=1_024, description="Bytes of a form body.")
    events_body_bytes: int = Field(4_194_304, ge=1_024, description="Bytes of an Event Streams body.")
    parameters: int = Field(256, ge=16, description="Parameters of a request.")
    parameter_length: int = Field(16_384, ge=256, description="Characters of a parameter's name or value.")
    # A million contacts with all their columns.
    register_body_bytes: int = Field(
        67_108_864, ge=1_024, description="Bytes of a part of the register, or of a do-not-call list, sent to the API."
    )


class Gather(_Section):
    """Which key presses and words on a call are an opt-out."""

    opt_out_digits: list[str] = Field(default=["9"], description="What a person keys in to opt out.")
    opt_out_words: list[str] = Field(
        default=[
            "stop",
            "stop calling",
            "do not call",
            "don't call",
            "remove me",
            "take me off",
            "unsubscribe",
            "opt out",
        ],
        description="Words or phrases in the recognised speech that opt a person out.",
    )


class Messaging(_Section):
    """Which words in a message are an opt-out or an opt-in; Twilio's own list is the default."""

    stop_words: list[str] = Field(
        default=["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"],
        description="A message of just this word opts out, whatever its case.",
    )
    start_words: list[str] = Field(
        default=["START", "UNSTOP"], description="A message of just this word opts back in to messages."
    )


class Assembly(_Section):
    """How callbacks become calls."""

    call_timeout_hours: float = Field(4.0, gt=0, description="Event time after which a silent call is closed, hours.")
    remember_minutes: float = Field(
        60.0, gt=0, description="How long an ended call is kept for late verdicts, minutes of event time."
    )
    count_child_legs: bool = Field(False, description="Whether legs made by <Dial> count as attempts of their own.")
    future_tolerance_seconds: float = Field(
        60.0, ge=0, description="How far past its receipt a Timestamp may lie before it counts as unusable, seconds."
    )
    past_tolerance_hours: float = Field(
        24.0, gt=0, description="How long before its receipt a Timestamp may lie before it counts as unusable, hours."
    )


class Twilio(_Section):
    """Twilio's account, as `ringwatch numbers sync` reads it."""

    account_sid: str | None = Field(
        None, pattern=r"^AC[0-9a-fA-F]{32}$", description="The account to read; by default the only one of `accounts`."
    )
    auth_token: Secret | None = Field(None, description="Its auth token; by default the one in `accounts`.")
    api_key: str | None = Field(
        None, pattern=r"^SK[0-9a-fA-F]{32}$", description="SID of an API key, to be used in place of the auth token."
    )
    api_secret: Secret | None = Field(None, description="Secret of the API key.")
    subaccounts: bool = Field(
        False,
        description="Whether the numbers of its subaccounts are read too; needs the auth token or a main API key.",
    )
    base_url: Annotated[str, AfterValidator(_check_twilio_url)] | None = Field(
        None, description="Where requests go in place of Twilio's own hosts, on loopback only, for tests."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.api_key is None) != (self.api_secret is None):
            missing, given = ("api_secret", "api_key") if self.api_secret is None else ("api_key", "api_secret")
            raise ValueError(f"{missing}: missing; it goes with {given}")
        return self


class History(_Section):
    """How the DuckDB file is written."""

    batch_rows: int = Field(20_000, ge=1, description="Records written in one transaction at most.")
    flush_seconds: float = Field(1.0, gt=0, description="How long a record may wait to be written, seconds.")
    query_seconds: float = Field(30.0, gt=0, description="How long a query over HTTP may run, seconds.")
    query_rows: int = Field(100_000, ge=1, description="Rows that a query over HTTP may return.")


class SecurityProtocol(StrEnum):
    """How Kafka is reached, in Kafka's own words."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(StrEnum):
    """How a client proves who it is, in Kafka's own words."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class Kafka(_Section):
    """How Apache Kafka is reached and used; without meaning for the embedded log."""

    security_protocol: SecurityProtocol = Field(SecurityProtocol.PLAINTEXT, description="How the brokers are reached.")
    ca_file: Path | None = Field(
        None, description="PEM file of the authorities that may sign a broker's certificate; else the system's."
    )
    certificate_file: Path | None = Field(None, description="PEM file of the client's own certificate.")
    key_file: Path | None = Field(None, description="PEM file of the client's private key.")
    key_password: Secret | None = Field(None, description="Password of the private key.")
    sasl_mechanism: SaslMechanism = Field(SaslMechanism.SCRAM_SHA_512, description="How the client proves who it is.")
    sasl_username: str | None = Field(None, description="Name of the client.")
    sasl_password: Secret | None = Field(None, description="Password of the client.")
    replication_factor: int | None = Field(
        None, ge=1, description="Copies of each partition; by default 3, or as many as there are brokers."
    )
    # Beyond the retries of a broker's restart, and within the 15 seconds that Twilio waits.
    append_seconds: float = Field(
        10.0, gt=0, le=14, description="How long a request waits for the brokers before it is answered 503, seconds."
    )
    buffer_bytes: int = Field(
        33_554_432, ge=1_048_576, description="Bytes that may wait to be sent before requests are answered 503."
    )
    worker: str | None = Field(
        None,
        description="Name of a worker, the same after a restart; by default the host's name and the worker's port.",
    )
    session_seconds: float = Field(
        30.0, ge=6, le=300, description="Silence of a worker after which others take its partitions, seconds."
    )

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in {SecurityProtocol.SSL, SecurityProtocol.SASL_SSL}

    @property
    def uses_sasl(self) -> bool:
        """Whether the client gives its name and password."""
        return self.security_protocol in {SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL}

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Refuse what is missing, and what would be without effect: a forgotten protocol must not go unnoticed."""
        protocol = self.security_protocol.value
        for key in ("sasl_username", "sasl_password"):
            if self.uses_sasl and not getattr(self, key):
                raise ValueError(f"{key}: missing; security_protocol {protocol} needs it")
            if not self.uses_sasl and getattr(self, key):
                raise ValueError(f"{key}: security_protocol {protocol} does not use it; write SASL_SSL")
        for key in ("ca_file", "certificate_file", "key_file"):
            path: Path | None = getattr(self, key)
            if path is None:
                continue
            if not self.uses_tls:
                raise ValueError(f"{key}: security_protocol {protocol} does not use it; write SSL or SASL_SSL")
            if not path.is_file():
                raise ValueError(f"{key}: {path} is no file; name a PEM file that is there")
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("certificate_file: missing; key_file is the key of a certificate")
        if self.key_password is not None and self.certificate_file is None:
            raise ValueError("certificate_file: missing; key_password is of the key of a certificate")
        return self


class Settings(BaseSettings):
    """All of ringwatch's settings.

    A value comes from the environment (`RINGWATCH_DATA`, nested with two underscores: `RINGWATCH_LIMITS__BODY_BYTES`),
    else from the configuration file, else from its default.
    """

    model_config = SettingsConfigDict(
        env_prefix="RINGWATCH_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data: Path = Field(Path("data"), description="Folder of the embedded log, the DuckDB file and everything else.")
    broker: Annotated[str, AfterValidator(_check_broker)] = Field(
        "",
        description="local:///PATH of the embedded log, or kafka://HOST:PORT,HOST:PORT of Apache Kafka; "
        "empty is `log` in the data folder.",
    )
    http: Annotated[str, AfterValidator(_check_address)] = Field(
        "127.0.0.1:8080", description="HOST:PORT to listen on."
    )
    # One process gains nothing from more than one, and one partition keeps all callbacks in one order. Twelve can be
    # spread evenly over 1, 2, 3, 4, 6 or 12 workers.
    partitions: int = Field(
        default_factory=lambda known: 12 if str(known.get("broker", "")).startswith(_KAFKA) else 1,
        ge=1,
        le=256,
        description="Partitions of every topic, fixed once the log exists; by default 1, on Kafka 12.",
    )
    lateness_seconds: float = Field(120.0, ge=0, le=1_800, description="How late a fact may come and count, seconds.")
    public_url: Annotated[str, AfterValidator(_check_base_url)] | None = Field(
        None, description="The base URL that Twilio calls, e.g. https://hooks.example.com."
    )
    trusted_proxies: list[IPv4Network | IPv6Network] = Field(
        default=[], description="Networks whose X-Forwarded-Proto and X-Forwarded-Host are believed."
    )
    accounts: dict[str, Secret] = Field(default={}, description="Auth token by AccountSid, subaccounts with their own.")
    shared_keys: dict[str, Secret] = Field(
        default={}, description="Secret by key id, for requests signed with a shared key (HMAC-SHA256)."
    )
    api_token: Secret | None = Field(
        None, description="Bearer token of /v1 and /metrics; without it they answer loopback only."
    )
    register_file: Path | None = Field(
        None, description="The register: TOML of numbers, campaigns and contacts, or CSV of one of them."
    )
    campaigns_file: Path | None = Field(None, description="CSV or TOML file of campaigns alone.")
    contacts_file: Path | None = Field(None, description="CSV or TOML file of contacts alone.")
    limits: Limits = Limits()
    gather: Gather = Gather()
    messaging: Messaging = Messaging()
    assembly: Assembly = Assembly()
    history: History = History()
    kafka: Kafka = Kafka()
    twilio: Twilio = Twilio()
    alerts: Alerting = Alerting()
    rules: Rules = Rules()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names the parameters
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line first, then the environment, then the file that `toml_file` names."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def log_path(self) -> Path:
        """The embedded log's file."""
        if self.broker:
            return Path(self.broker.removeprefix(_LOCAL))
        return self.data / "log"

    @property
    def on_kafka(self) -> bool:
        """Whether the log is Apache Kafka, and not the embedded one."""
        return self.broker.startswith(_KAFKA)

    @property
    def bootstrap_servers(self) -> list[str]:
        """HOST:PORT of each broker that was named."""
        return self.broker.removeprefix(_KAFKA).split(",")

    @property
    def worker_name(self) -> str:
        """By which Kafka knows a worker again after a restart; two that run at once must not share it."""
        return self.kafka.worker or f"{socket.gethostname()}-{self.port}"

    @property
    def history_path(self) -> Path:
        """The DuckDB file."""
        return self.data / "history.duckdb"

    @property
    def host(self) -> str:
        """The address to listen on, without its port."""
        return self.http.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0 lets the system choose."""
        return int(self.http.rpartition(":")[2])

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return _is_loopback(self.host)


def load_settings(config: Path | None = None, **overrides: object) -> Settings:
    """Read the settings, the command line's overrides on top.

    Args:
        config: the TOML file; without one, `ringwatch.toml` where it exists.
        overrides: values by setting name; None means not given.

    Raises:
        ConfigurationError: a file or value that can't be used; the text names the key.
    """
    if config is not None and not config.is_file():
        raise ConfigurationError(f"{config}: no such file; name an existing file with --config")
    source = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=source)

    _refuse_unknown_variables()
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        settings = _FromFile(**given)  # type: ignore[arg-type]  # pydantic checks each value
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from error
    except (SettingsError, ValueError) as error:
        raise ConfigurationError(_explain_source(error, source)) from error
    return settings


# Variables of the test suite and the demo, which are not settings of the program.
_NOT_SETTINGS = ("RINGWATCH_TEST_",)


def _refuse_unknown_variables() -> None:
    known = {f"RINGWATCH_{name}".upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.startswith("RINGWATCH_") or variable.startswith(_NOT_SETTINGS):
            continue
        if variable.split("__", 1)[0].upper() not in known:
            raise ConfigurationError(f"{variable}: no such setting; docs/settings.md lists them all")


# What somebody wrote there is a secret, also where it is of the wrong kind.
_SECRETS = frozenset(
    {"accounts", "shared_keys", "api_token", "key_password", "sasl_password", "webhooks", "auth_token", "api_secret"}
)


def _explain(error: ValidationError) -> str:
    # A default that is made from another setting can't be made where that one is wrong; it has its own line.
    problems = (problem for problem in error.errors() if problem["type"] != "default_factory_not_called")
    return "\n".join(_explain_one(problem) for problem in problems)


def _explain_one(problem: ErrorDetails) -> str:
    where = [part for part in map(str, problem["loc"]) if not part.startswith(("lax-or-strict", "function-"))]
    key = ".".join(where) or "settings"
    if problem["type"] == "extra_forbidden":
        return f"{key}: no such setting; docs/settings.md lists them all"
    given = problem["input"]
    hint = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing" or isinstance(given, dict) or not _SECRETS.isdisjoint(where):
        return f"{key}: {hint}"
    return f"{key}: {hint} (got {given!r})"


def _explain_source(error: Exception, source: Path | None) -> str:
    """Name the variable that is no JSON, or the file that is no TOML."""
    field = re.search(r'field "(\w+)" from source "EnvSettingsSource"', str(error))
    if field is not None:
        return f"RINGWATCH_{field[1].upper()}: write JSON, e.g. {_EXAMPLES.get(field[1], '[…] or {…}')}"
    return f"{source or 'environment'}: {error}"


_EXAMPLES = {
    "accounts": '{"AC…": "auth token"}',
    "shared_keys": '{"key id": "secret"}',
    "trusted_proxies": '["10.0.0.0/8"]',
}
