"""All settings together, and what follows from them."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from schemas.alerting import Alerting
from schemas.rules import Rules
from schemas.settings.addresses import KAFKA, LOCAL, check_address, check_base_url, check_broker, is_loopback
from schemas.settings.kafka import Kafka
from schemas.settings.section import Secret
from schemas.settings.sections import Assembly, Gather, History, Limits, Messaging, Twilio


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
    broker: Annotated[str, AfterValidator(check_broker)] = Field(
        "",
        description="local:///PATH of the embedded log, or kafka://HOST:PORT,HOST:PORT of Apache Kafka; "
        "empty is `log` in the data folder.",
    )
    http: Annotated[str, AfterValidator(check_address)] = Field("127.0.0.1:8080", description="HOST:PORT to listen on.")
    # One process gains nothing from more than one, and one partition keeps all callbacks in one order. Twelve can be
    # spread evenly over 1, 2, 3, 4, 6 or 12 workers.
    partitions: int = Field(
        default_factory=lambda known: 12 if str(known.get("broker", "")).startswith(KAFKA) else 1,
        ge=1,
        le=256,
        description="Partitions of every topic, fixed once the log exists; by default 1, on Kafka 12.",
    )
    lateness_seconds: float = Field(120.0, ge=0, le=1_800, description="How late a fact may come and count, seconds.")
    public_url: Annotated[str, AfterValidator(check_base_url)] | None = Field(
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
            return Path(self.broker.removeprefix(LOCAL))
        return self.data / "log"

    @property
    def on_kafka(self) -> bool:
        """Whether the log is Apache Kafka, and not the embedded one."""
        return self.broker.startswith(KAFKA)

    @property
    def bootstrap_servers(self) -> list[str]:
        """HOST:PORT of each broker that was named."""
        return self.broker.removeprefix(KAFKA).split(",")

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
        return is_loopback(self.host)
