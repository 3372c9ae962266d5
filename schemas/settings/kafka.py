"""How Apache Kafka is reached and used."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from schemas.settings.section import Secret, Section


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


class Kafka(Section):
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
