"""A replay line as the HTTP request Twilio would make of it, signed."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from urllib.parse import urlencode

import msgspec
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator

from streams.ingest.simulator.line import Line


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to be sent.

    Attributes:
        method: always POST, Twilio's default.
        path: the path, as in the line; of Event Streams with the body's hash in its query.
        headers: what Twilio sends, its signature among them.
        body: the form, blank parameters included; of Event Streams the JSON of its events.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def signer(token: str, public_url: str) -> Callable[[Line], SignedRequest]:
    """Make a function that signs lines for one account and one public address.

    Args:
        token: the account's auth token.
        public_url: the base URL that Twilio would call, e.g. https://hooks.example.com; the path is added to it.
    """
    validator = RequestValidator(token)
    base = public_url.rstrip("/")

    def sign(line: Line) -> SignedRequest:
        if line.events is not None:
            body = msgspec.json.encode(line.events)
            path = f"{line.path}?bodySHA256={sha256(body).hexdigest()}"
            return SignedRequest(
                method="POST",
                path=path,
                headers={
                    "Content-Type": "application/json",
                    "User-Agent": "TwilioProxy/1.1",
                    SIGNATURE_HEADER: validator.compute_signature(base + path, {}),
                },
                body=body,
            )
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            SIGNATURE_HEADER: validator.compute_signature(base + line.path, line.params),
        }
        return SignedRequest(method="POST", path=line.path, headers=headers, body=urlencode(line.params).encode())

    return sign
