"""Addresses and URLs as settings write them; each check says what to write instead."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

KAFKA: Final = "kafka://"
"""What the address of Apache Kafka begins with."""

LOCAL: Final = "local://"
"""What the address of the embedded log begins with."""

_LAST_PORT: Final = 65_535


def check_base_url(url: str) -> str:
    """Refuse what is no base of the URLs that Twilio calls; give it without a last slash."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("write the base as Twilio sees it, e.g. https://hooks.example.com")
    return url.rstrip("/")


def check_address(address: str) -> str:
    """Refuse what is no HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > _LAST_PORT:
        raise ValueError("write HOST:PORT, e.g. 127.0.0.1:8080")
    return address


def check_twilio_url(url: str) -> str:
    """Refuse what may not stand in for Twilio's own hosts; give it without a last slash."""
    parts = urlsplit(url)
    # Requests carry the account's secret.
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise ValueError("write http:// and an address of this machine, or leave it out for Twilio's own")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_broker(broker: str) -> str:
    """Refuse what names neither of the two logs."""
    if broker.startswith(KAFKA):
        for address in broker.removeprefix(KAFKA).split(","):
            host, _, port = address.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) <= _LAST_PORT:
                raise ValueError("write kafka://HOST:PORT,HOST:PORT, e.g. kafka://127.0.0.1:9092")
    elif broker and not broker.startswith(LOCAL):
        raise ValueError("write local:///PATH or kafka://HOST:PORT,HOST:PORT, or leave it out")
    return broker
