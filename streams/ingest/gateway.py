"""The webhook gateway: Twilio's requests over HTTP, answered 2xx only once their records are in the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter, time_ns
from urllib.parse import quote

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from schemas.callback import Callback, CallbackKind, Params
from schemas.dead_letter import DeadLetter
from schemas.log import Log, LogUnavailableError, NewRecord
from schemas.settings import Settings
from streams.ingest.cloud_events import understand_events
from streams.ingest.gateway_metrics import GatewayMetrics
from streams.ingest.paths import Address, Endpoint, take_apart
from streams.ingest.request_bodies import UnreadableRequestError, parse_form, parse_json
from streams.ingest.signature import ADVICE, SignatureCheck
from streams.ingest.terms import CurrentTerms
from streams.ingest.understanding import Understood, new_record, understand

_log = logging.getLogger(__name__)

# These requests ask what to do next; an empty answer says: nothing from here.
_ASK_FOR_TWIML = frozenset({CallbackKind.VOICE_URL, CallbackKind.GATHER, CallbackKind.DIAL_ACTION})
_EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})


class _Answer(msgspec.Struct, frozen=True):
    status: int
    outcome: str
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _SenderGoneError(Exception):
    """The sender hung up before its request was complete."""


_ACCEPTED = _Answer(204, "accepted")
_NOTHING_TO_KEEP = _Answer(204, "nothing_to_keep")
_SET_ASIDE = _Answer(204, "set_aside")
_TWIML = _Answer(
    200, "accepted", _EMPTY_TWIML, ((b"content-type", b"text/xml"), (b"content-length", b"%d" % len(_EMPTY_TWIML)))
)


def _text(status: int, outcome: str, line: str, *headers: tuple[bytes, bytes]) -> _Answer:
    body = f"{line}\n".encode()
    fixed = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)))
    return _Answer(status, outcome, body, fixed + headers)


_UNAVAILABLE = _text(
    503, "unavailable", "the log can't take records now: send the request again", (b"retry-after", b"1")
)


def gateway_routes(
    settings: Settings, terms: CurrentTerms, log: Log, *, insecure: bool, metrics: GatewayMetrics
) -> list[Route]:
    """Make the routes that take Twilio's requests.

    Args:
        settings: accounts and limits are used.
        terms: what requests are understood by, as they are when each comes.
        log: where records go before a request is answered 2xx.
        insecure: whether unsigned requests are taken; the caller sees to it that only this machine can send them.
        metrics: what is counted.
    """
    gateway = _Gateway(settings, terms, log, insecure=insecure, metrics=metrics)
    return [
        Route(path, gateway, methods=["GET", "POST"])
        for endpoint in Endpoint
        for path in (endpoint.value, f"{endpoint.value}/{{campaign:path}}")
    ]


class _Gateway:
    """One ASGI application for all endpoints; framework layers between would cost more than the work itself."""

    def __init__(
        self, settings: Settings, terms: CurrentTerms, log: Log, *, insecure: bool, metrics: GatewayMetrics
    ) -> None:
        self._limits = settings.limits
        self._terms = terms
        self._check = None if insecure else SignatureCheck(settings)
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        path = raw_path.partition(b"?")[0].decode("latin-1")
        address = take_apart(path) or Address(_endpoint_of(scope["path"]))
        try:
            answer = await self._answer(address, path, scope, receive)
        except UnreadableRequestError as error:
            self._metrics.rejected(error.reason)
            answer = _text(error.status, "rejected", str(error))
        except _SenderGoneError:
            self._metrics.answered(address.endpoint.value, "sender_gone", perf_counter() - started)
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})
        self._metrics.answered(address.endpoint.value, answer.outcome, perf_counter() - started)

    async def _answer(self, address: Address, path: str, scope: Scope, receive: Receive) -> _Answer:
        query: bytes = scope["query_string"]
        headers = dict(scope["headers"])
        params: Params | None
        if scope["method"] == "POST":
            body = await self._body(address.endpoint, headers, receive)
            raw, is_form = body, _is_form(address.endpoint, headers)
            params = parse_form(body, self._limits) if is_form else self._json(address.endpoint, body)
        elif scope["method"] == "GET":
            self._check_size(len(query), self._limits.body_bytes)
            body, raw, is_form = b"", query, False
            params = parse_form(query, self._limits)
        else:
            raise UnreadableRequestError(405, "wrong_method", "send POST or GET")
        if self._check is not None:
            target = f"{path}?{query.decode('latin-1')}" if query else path
            peer = scope.get("client")
            url = self._check.url(scope["scheme"], peer[0] if peer else None, target, headers)
            account_sid = params.get("AccountSid") if params else None
            refusal = self._check.refusal(
                url,
                headers,
                body,
                signed=params if is_form else None,
                account_sid=account_sid if isinstance(account_sid, str) else None,
            )
            if refusal is not None:
                self._metrics.rejected(refusal.value)
                return _text(403, "rejected", ADVICE[refusal])
        understood, records = self._understood(address, params, raw)
        if records and not await self._append(records):
            return _UNAVAILABLE
        return _answer_to(address.endpoint, understood)

    def _json(self, endpoint: Endpoint, body: bytes) -> Params | None:
        return None if endpoint is Endpoint.EVENTS else parse_json(body, self._limits)

    def _understood(
        self, address: Address, params: Params | None, raw: bytes
    ) -> tuple[list[Understood], list[NewRecord]]:
        received_at = time_ns() // 1_000_000
        source = address.endpoint.value
        terms = self._terms.now
        understood: list[Understood]
        try:
            if address.endpoint is Endpoint.EVENTS:
                understood = understand_events(raw, received_at, terms)
            elif params is None:
                understood = [DeadLetter(source=source, reason="not a JSON object", at=received_at, body=raw)]
            else:
                understood = understand(address, params, received_at, terms, raw)
            return understood, [new_record(record) for record in understood]
        except Exception as error:  # noqa: BLE001 - nothing a sender writes may become a 5xx
            # A signed request is kept whatever it makes this program do; an answer of 5xx would bring it back.
            _log.exception("could not understand a request to %s; it is in the dead letters", source)
            understood = [DeadLetter(source=source, reason=f"not understood: {error!r}", at=received_at, body=raw)]
            return understood, [new_record(record) for record in understood]

    async def _append(self, records: list[NewRecord]) -> bool:
        try:
            await self._log.append(records)
        except LogUnavailableError as error:
            _log.warning("answered 503, the log can't take records: %s", error)
            return False
        except Exception:  # noqa: BLE001 - whatever failed, the records are not known to be on disk
            _log.exception("answered 503, appending failed")
            return False
        self._metrics.written(records)
        return True

    async def _body(self, endpoint: Endpoint, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        limit = self._limits.events_body_bytes if endpoint is Endpoint.EVENTS else self._limits.body_bytes
        announced = headers.get(b"content-length", b"")
        if announced.isdigit():
            self._check_size(int(announced[:20]), limit)
        message = await receive()
        body: bytes = message.get("body", b"")
        self._check_size(len(body), limit)
        if message["type"] == "http.request" and not message.get("more_body", False):
            return body
        pieces, size = [body], len(body)
        while message.get("more_body", False):
            message = await receive()
            piece = message.get("body", b"")
            size += len(piece)
            self._check_size(size, limit)
            pieces.append(piece)
        if message["type"] == "http.disconnect":
            raise _SenderGoneError
        return b"".join(pieces)

    @staticmethod
    def _check_size(size: int, limit: int) -> None:
        if size > limit:
            raise UnreadableRequestError(413, "too_large", f"more than {limit} bytes")


def _endpoint_of(path: str) -> Endpoint:
    """Give the endpoint of a path that the router matched in its decoded form, e.g. "/twilio/%76oice"."""
    return next((endpoint for endpoint in Endpoint if path.startswith(endpoint.value)), Endpoint.VOICE)


def _is_form(endpoint: Endpoint, headers: Mapping[bytes, bytes]) -> bool:
    """Tell form from JSON by the content type.

    Raises:
        UnreadableRequestError: neither of them, not UTF-8, or a form where Event Streams send JSON.
    """
    given = headers.get(b"content-type", b"").decode("latin-1").lower()
    media_type, _, parameters = given.partition(";")
    media_type = media_type.strip()
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if charset and charset not in _CHARSETS:
        raise UnreadableRequestError(415, "wrong_charset", "send UTF-8")
    if media_type == _FORM and endpoint is not Endpoint.EVENTS:
        return True
    if media_type == _JSON or (media_type.startswith("application/") and media_type.endswith("+json")):
        return False
    taken = _JSON if endpoint is Endpoint.EVENTS else f"{_FORM} or {_JSON}"
    raise UnreadableRequestError(415, "wrong_content_type", f"send {taken}")


def _answer_to(endpoint: Endpoint, understood: list[Understood]) -> _Answer:
    if endpoint is Endpoint.GATHER or any(
        isinstance(record, Callback) and record.kind in _ASK_FOR_TWIML for record in understood
    ):
        return _TWIML
    if not understood:
        return _NOTHING_TO_KEEP
    return _SET_ASIDE if all(isinstance(record, DeadLetter) for record in understood) else _ACCEPTED
