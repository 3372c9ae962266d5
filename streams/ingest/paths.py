"""The addresses Twilio is given, and the campaign that may stand at their end."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from schemas.register import is_campaign_name


class Endpoint(StrEnum):
    """The paths that take Twilio's requests, without a campaign."""

    VOICE = "/twilio/voice"
    AMD = "/twilio/amd"
    MESSAGING = "/twilio/messaging"
    GATHER = "/twilio/gather"
    EVENTS = "/twilio/events"


class Address(NamedTuple):
    """A path, taken apart.

    Attributes:
        endpoint: where the request came to.
        campaign: the campaign that the path names; None if it names none that can be used.
        problem: why the path's campaign could not be used.
    """

    endpoint: Endpoint
    campaign: str | None = None
    problem: str | None = None


# Paths repeat with every request; a caller that makes up campaigns must not fill the memory.
@lru_cache(maxsize=4_096)
def take_apart(path: str) -> Address | None:
    """Take a percent-encoded path apart; None if it is no path of Twilio's.

    >>> take_apart("/twilio/voice/spring-sale")
    Address(endpoint=<Endpoint.VOICE: '/twilio/voice'>, campaign='spring-sale', problem=None)
    """
    for endpoint in Endpoint:
        if path in (endpoint.value, f"{endpoint}/"):
            return Address(endpoint)
        if path.startswith(f"{endpoint}/"):
            return _with_campaign(endpoint, path[len(endpoint) + 1 :])
    return None


def _with_campaign(endpoint: Endpoint, encoded: str) -> Address:
    try:
        campaign = unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeError:
        return Address(endpoint, None, "campaign: the path is not UTF-8")
    if not is_campaign_name(campaign):
        return Address(
            endpoint, None, "campaign: the path's is not 1 to 100 letters, digits, hyphens, underscores, dots"
        )
    return Address(endpoint, campaign)
