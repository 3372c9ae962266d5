"""Settings of how people are told of alerts; the words are Alertmanager's."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from schemas.alert import Severity

Label = Literal["rule", "kind", "value", "severity", "campaign", "account"]
"""The labels of an alert that a group may be made by."""


def _check_webhook(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write the whole address, e.g. https://hooks.example.com/alerts")
    return url


def _check_external_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("write the base as people see it, e.g. https://ringwatch.example.com")
    return url.rstrip("/")


# What comes after the host often is a secret of its own.
Webhook = Annotated[SecretStr, AfterValidator(_check_webhook)]


class Alerting(BaseModel):
    """How people are told of alerts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="Whether this process tells people; of several feeds let only one do so.")
    webhooks: list[Webhook] = Field(default=[], description="Addresses that get Alertmanager's webhook JSON by POST.")
    webhook_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How long a webhook may take to answer, seconds."
    )
    external_url: Annotated[str, AfterValidator(_check_external_url)] | None = Field(
        None, description="The base URL of links in notifications; by default that of `http`."
    )
    group_by: list[Label] = Field(
        default=["rule", "campaign"],
        description="Alerts that are equal in these labels are told together: rule, kind, value, severity, campaign, "
        "account.",
    )
    # Alertmanager's own defaults: half a minute lets what has one cause come together.
    group_wait_seconds: float = Field(
        30.0, ge=0, le=3_600, description="How long a new group waits for more of its alerts, seconds."
    )
    group_interval_seconds: float = Field(
        300.0, gt=0, le=86_400, description="The least time between two notifications of a group, seconds."
    )
    repeat_interval_hours: float = Field(
        4.0, gt=0, description="After how long a group is told again that still fires, hours."
    )
    notify_severity: Severity = Field(
        Severity.WARNING, description="The least severity that is told alert by alert; what is below is counted."
    )
    digest_hours: float = Field(24.0, gt=0, description="How often the counts of what is below are told, hours.")
    new_alerts_per_minute: int = Field(
        30, ge=1, description="New alerts told in a minute at most; of the others their counts are told."
    )
