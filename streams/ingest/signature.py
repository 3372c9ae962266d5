"""X-Twilio-Signature: whether a request came from Twilio, as twilio's own RequestValidator decides."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import cast
from urllib.parse import parse_qs

from twilio.request_validator import (
    RequestValidator,
    get_signature_algorithm,
)

from schemas.callback import Params
from schemas.settings import Settings

SIGNATURE = b"x-twilio-signature"
SIGNATURE_SETTINGS = b"x-twilio-webhooks-signature-settings"
_ALGORITHMS = frozenset({"HMAC_SHA1", "HMAC_SHA256"})

Headers = Mapping[bytes, bytes]
"""Header values by name in lower case."""


class Refusal(StrEnum):
    """Why a request is not taken for Twilio's."""

    NO_SIGNATURE = "no_signature"
    NO_TOKEN = "no_token"  # noqa: S105 - a reason, no secret
    UNKNOWN_KEY = "unknown_key"
    WRONG_BODY_HASH = "wrong_body_hash"
    WRONG_SIGNATURE = "wrong_signature"


ADVICE: dict[Refusal, str] = {
    Refusal.NO_SIGNATURE: "no X-Twilio-Signature: only requests that Twilio signed are taken",
    Refusal.NO_TOKEN: "no auth token is configured: set `accounts` to the AccountSid and its auth token",
    Refusal.UNKNOWN_KEY: "signed with a shared key that `shared_keys` does not have, or by an unknown algorithm",
    Refusal.WRONG_BODY_HASH: "the body does not match bodySHA256 in the URL",
    Refusal.WRONG_SIGNATURE: "wrong X-Twilio-Signature: check `accounts` and that `public_url` is what Twilio calls",
}


def _as_one(params: Params) -> dict[str, str]:
    """Join parameters into the text that the validator signs, as one parameter without a value.

    It would sort and join them itself, twice for each token, and raise where a name comes more than once.
    """
    text = "".join(
        [
            name + value if isinstance(value, str) else "".join([name + one for one in sorted(set(value))])
            for name, value in sorted(params.items())
        ]
    )
    return {text: ""}


class SignatureCheck:
    """Checks signatures for all configured accounts and shared keys.

    Args:
        settings: `accounts`, `shared_keys`, `public_url` and `trusted_proxies` are used.
    """

    def __init__(self, settings: Settings) -> None:
        self._accounts = {sid: RequestValidator(token.get_secret_value()) for sid, token in settings.accounts.items()}
        self._all = list(self._accounts.values())
        self._shared_keys = {
            key: RequestValidator(secret.get_secret_value()) for key, secret in settings.shared_keys.items()
        }
        self._public_url = settings.public_url
        networks = settings.trusted_proxies

        # A proxy's requests come from few addresses.
        @lru_cache(maxsize=1_024)
        def trusts(peer: str) -> bool:
            try:
                address = ip_address(peer)
            except ValueError:
                return False
            return any(address in network for network in networks)

        self._trusts = trusts

    def url(self, scheme: str, peer: str | None, target: str, headers: Headers) -> str:
        """Give the URL that Twilio called, and signed.

        Args:
            scheme: http or https, as this server was reached.
            peer: the address at the other end of the connection.
            target: path and query, raw as they came.
            headers: the request's headers.
        """
        if self._public_url is not None:
            return self._public_url + target
        host = headers.get(b"host", b"")
        if peer is not None and self._trusts(peer):
            host = _first(headers.get(b"x-forwarded-host", b"")) or host
            scheme = _first(headers.get(b"x-forwarded-proto", b"")).decode("latin-1").lower() or scheme
        return f"{scheme}://{host.decode('latin-1')}{target}"

    def refusal(
        self, url: str, headers: Headers, body: bytes, *, signed: Params | None, account_sid: str | None
    ) -> Refusal | None:
        """Tell why a request is not Twilio's; None if it is. Never raises, whatever the request holds.

        Args:
            url: as `url` gives it.
            headers: the request's headers.
            body: the raw body.
            signed: the parameters of a form body; None for a GET, and for JSON, which the URL's bodySHA256 covers.
            account_sid: the account that the request names, whose token is tried; without a known one, all are.
        """
        signature = headers.get(SIGNATURE, b"").decode("latin-1")
        if not signature:
            return Refusal.NO_SIGNATURE
        try:
            announced = headers.get(SIGNATURE_SETTINGS, b"").decode("latin-1")
            algorithm = cast("str", get_signature_algorithm(announced)).upper()
            validators = self._validators(announced, account_sid)
            if not validators or algorithm not in _ALGORITHMS:
                return Refusal.UNKNOWN_KEY if announced else Refusal.NO_TOKEN
            # The validator hashes only text and only what it is told is no form. A hash in the URL binds any body,
            # so that a signed URL can't be sent again with another one.
            if not _body_matches(url, body, in_signature=bool(signed)):
                return Refusal.WRONG_BODY_HASH
            params = _as_one(signed) if signed else {}
            if any(validator.validate(url, params, signature, algorithm=algorithm) for validator in validators):
                return None
        except Exception:  # noqa: BLE001 - the validator raises on odd URLs and values, which an attacker chooses
            return Refusal.WRONG_SIGNATURE
        return Refusal.WRONG_SIGNATURE

    def _validators(self, announced: str, account_sid: str | None) -> list[RequestValidator]:
        key = _key_id(announced) if announced else None
        if key is not None:
            return [self._shared_keys[key]] if key in self._shared_keys else []
        if account_sid in self._accounts:
            return [self._accounts[account_sid]]
        # Event Streams name no account outside the events, which may be of several.
        return self._all


def _key_id(announced: str) -> str | None:
    for part in announced.split(","):
        name, separator, value = part.partition("=")
        if separator and name.strip() == "key":
            return value.strip()
    return None


def _first(value: bytes) -> bytes:
    return value.split(b",", 1)[0].strip()


def _body_matches(url: str, body: bytes, *, in_signature: bool) -> bool:
    """Compare the body with the URL's bodySHA256; without one, the signature itself must cover the body."""
    query = url.partition("?")[2]
    given = parse_qs(query).get("bodySHA256") if "bodySHA256" in query else None
    if given is None:
        return in_signature or not body
    return hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), given[0].encode())
