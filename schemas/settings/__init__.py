"""Settings: `ringwatch.toml` and RINGWATCH_ environment variables, checked at start."""

from __future__ import annotations

from schemas.alerting import Alerting
from schemas.rules import Rules
from schemas.settings.errors import ConfigurationError
from schemas.settings.kafka import Kafka, SaslMechanism, SecurityProtocol
from schemas.settings.loading import load_settings
from schemas.settings.model import Settings
from schemas.settings.sections import Assembly, Gather, History, Limits, Messaging, Twilio

__all__ = [
    "Alerting",
    "Assembly",
    "ConfigurationError",
    "Gather",
    "History",
    "Kafka",
    "Limits",
    "Messaging",
    "Rules",
    "SaslMechanism",
    "SecurityProtocol",
    "Settings",
    "Twilio",
    "load_settings",
]
