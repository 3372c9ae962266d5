"""Who may ask: the holder of a token or, where none is set, this machine alone."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What anybody may ask: it says whether the service runs, and nothing else."""

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What proxies and tunnels add; X-Forwarded-* is looked for by its prefix.
_PROXY_HEADERS = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "cf-ray", "x-original-host"}
)

_HOW_TO_ASK = (
    "send Authorization: Bearer with the value of the setting api_token (RINGWATCH_API_TOKEN); if none is set, set one "
    "and start again"
)


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is refused; `cause` is the short name under which refusals are counted."""

    status: int
    cause: str
    detail: str


class AccessControl:
    """Lets through who may ask, as an ASGI application around another; streams pass untouched.

    Every path but `OPEN_PATHS` is guarded, so that a new one is guarded unless somebody decides otherwise.

    Args:
        app: what is guarded.
        tokens: the bearer tokens that open it.
        token_required: whether a token must be given; otherwise direct requests from this machine need none.
        refused: where refusals are counted, by cause.
    """

    def __init__(
        self, app: ASGIApp, *, tokens: tuple[str, ...], token_required: bool, refused: Counter[str] | None = None
    ) -> None:
        self._app = app
        self._tokens = tuple(_digest(token.encode()) for token in tokens if token)
        self._token_required = token_required
        self._refused: Counter[str] = Counter() if refused is None else refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403 with one line that says what to do."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no websockets here"})
            return
        if scope["type"] == "http":
            refusal = self.refusal(scope)
            if refusal is not None:
                self._refused[refusal.cause] += 1
                challenge = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None  # noqa: PLR2004 - HTTP's
                answer = JSONResponse({"detail": refusal.detail}, refusal.status, challenge)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this HTTP request may not pass; None if it may."""
        if scope["path"].removeprefix(scope.get("root_path", "")) in OPEN_PATHS and scope["method"] in _SAFE_METHODS:
            return None
        headers = Headers(scope=scope)
        if scope["method"] not in _SAFE_METHODS and _from_another_site(headers):
            return Refusal(
                403, "cross_site", "a page of another site may not write here; send the request without its Origin"
            )
        given = _bearer(headers)
        if given is not None and self._knows(given):
            return None
        if self._token_required:
            what = "the bearer token is missing" if given is None else "the bearer token is not the right one"
            return Refusal(401, "token", f"{what}: {_HOW_TO_ASK}")
        if not is_direct_and_local(scope, headers):
            return Refusal(
                403,
                "not_local",
                "no api_token is set, so only direct requests to localhost are answered: "
                "set RINGWATCH_API_TOKEN and send it as Authorization: Bearer",
            )
        return None

    def _knows(self, given: str) -> bool:
        # Digests have one length, and every token is compared: the time taken says nothing about any of them.
        digest = _digest(given.encode("latin-1", "replace"))
        return any([hmac.compare_digest(digest, token) for token in self._tokens])  # noqa: C419 - all are compared


def is_direct_and_local(scope: Scope, headers: Headers) -> bool:
    """Whether a request comes from this machine itself: not through a proxy or tunnel, nor from a rebound name."""
    client = scope.get("client")
    if client is None or not _is_loopback(client[0]):
        return False
    if any(name in _PROXY_HEADERS or name.startswith("x-forwarded") for name in headers):
        return False
    hosts = headers.getlist("host")
    return len(hosts) == 1 and _host_name(hosts[0]) in _LOCAL_NAMES


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _host_name(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _from_another_site(headers: Headers) -> bool:
    if headers.get("sec-fetch-site") == "cross-site":
        return True
    origins = headers.getlist("origin")
    if not origins:
        return False
    return len(origins) > 1 or not urlsplit(origins[0]).netloc or _netloc(origins[0]) != headers.get("host", "").lower()


def _netloc(origin: str) -> str:
    return urlsplit(origin).netloc.lower()


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
