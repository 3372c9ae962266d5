"""The gateway on the real embedded log, and a small log in memory for runs of many requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator

from schemas.log import Log, LogUnavailableError, NewRecord, Positions, Reader, Record
from schemas.register import Register, RegisteredNumber
from schemas.settings import Settings
from schemas.topics import TOPICS
from schemas.wire import Versioned
from streams.ingest.gateway import gateway_routes
from streams.ingest.gateway_metrics import GatewayMetrics
from streams.ingest.terms import CurrentTerms, Terms
from streams.transports.local.log import LocalLog

ACCOUNT = "AC00000000000000000000000000000000"
TOKEN = "token"
BASE = "https://hooks.example.com"
FIXTURES = Path(__file__).parents[2] / "fixtures" / "twilio"


class MemoryLog:
    """The log's interface over lists; `full` makes it refuse."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.full = False

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Keep records."""
        if self.full:
            raise LogUnavailableError("disk full")
        for record in records:
            self.records.append(Record(record.topic, 0, len(self.records), 0, record.key, record.value))
        return [(0, 0)] * len(records)

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - the interface's name
        """Give one, whatever the topic."""
        return 1

    async def ends(self, topic: str) -> Mapping[int, int]:  # noqa: ARG002 - the interface's name
        """Give the one partition's end."""
        return {0: len(self.records)}

    async def reader(self, positions: Positions) -> Reader:
        """Refuse: tests look at `records`."""
        raise NotImplementedError


class Gateway:
    """The gateway's routes in a Starlette application, reached without a socket."""

    def __init__(self, settings: Settings, register: Register, log: Log, *, insecure: bool = False) -> None:
        self.log = log
        self.registry = CollectorRegistry()
        metrics = GatewayMetrics(self.registry)
        self.terms = CurrentTerms(settings, register)
        self.app = Starlette(routes=gateway_routes(settings, self.terms, log, insecure=insecure, metrics=metrics))

    async def send_async(
        self,
        method: str,
        target: str,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
        peer: str = "127.0.0.1",
    ) -> httpx.Response:
        """Send a request as an HTTP client at `peer` would."""
        transport = httpx.ASGITransport(app=self.app, client=(peer, 4_000), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://inside.example.net:8080") as client:
            return await client.request(method, target, content=body, headers=headers)

    def send(self, *args: Any, **kwargs: Any) -> httpx.Response:
        """Send a request and wait for its answer."""
        return asyncio.run(self.send_async(*args, **kwargs))

    def status_of(self, method: str, path: bytes, query: bytes, headers: Mapping[bytes, bytes], body: bytes) -> int:
        """Give the status of a request of arbitrary bytes, which no HTTP client would send."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": list(headers.items()),
            "client": None,
            "server": None,
        }
        asyncio.run(self.app(scope, receive, send))
        return int(sent[0]["status"])

    def post_form(self, path: str, body: bytes, token: str = TOKEN, **headers: str) -> httpx.Response:
        """Post a form signed as Twilio signs it."""
        given: dict[str, str] = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signature = RequestValidator(token).compute_signature(BASE + path, given)
        form = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8", "x-twilio-signature": signature}
        return self.send("POST", path, body, form | headers)

    def post_json(
        self, path: str, body: bytes, token: str = TOKEN, content_type: str = "application/json"
    ) -> httpx.Response:
        """Post JSON signed as Twilio signs it: the URL, with the body's hash in it."""
        target = f"{path}?bodySHA256={sha256(body).hexdigest()}"
        signature = RequestValidator(token).compute_signature(BASE + target, {})
        return self.send("POST", target, body, {"content-type": content_type, "x-twilio-signature": signature})

    def read(self, topic: str, kind: type[Versioned]) -> list[Any]:
        """Give what lies in a topic, of the real log or the one in memory."""
        if isinstance(self.log, MemoryLog):
            records = [record for record in self.log.records if record.topic == topic]
        else:
            assert isinstance(self.log, LocalLog)
            records = [
                record
                for partition in range(self.log.topics()[topic])
                for record in self.log.read(topic, partition, 0, 10_000)
            ]
        return [kind.decode(record.value) for record in records if record.value is not None]

    def written(self) -> int:
        """Count the records in all topics."""
        return sum(len(self.read(topic.name, Versioned)) for topic in TOPICS)

    def count(self, name: str, **labels: str) -> float:
        """Give a counter's value; 0 if it was never raised."""
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def fixture_body() -> Callable[[str], bytes]:
    """Read a captured or synthetic body by the beginning of its name."""

    def read(prefix: str) -> bytes:
        (path,) = FIXTURES.glob(f"{prefix}_*")
        return path.read_bytes().strip()

    return read


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings with one account, behind a public URL; captured bodies may be of any age."""
    monkeypatch.chdir(tmp_path)
    return Settings.model_validate(
        {
            "accounts": {ACCOUNT: TOKEN},
            "public_url": BASE,
            "assembly": {"past_tolerance_hours": 262_800, "future_tolerance_seconds": 1e9},
        }
    )


@pytest.fixture
def register() -> Register:
    """One registered number with a campaign."""
    return Register([RegisteredNumber(number="+14155550123", campaign="autumn")])


@pytest.fixture
def terms(settings: Settings, register: Register) -> Terms:
    """What understanding goes by."""
    return Terms.of(settings, register)


@pytest.fixture
def local_log(tmp_path: Path) -> Iterator[LocalLog]:
    """The real embedded log with every topic."""
    log = LocalLog.open(tmp_path / "data" / "log")
    for topic in TOPICS:
        log.create_topic(topic.name, 2, topic.cleanup, topic.retention)
    yield log
    log.close()


@pytest.fixture
def memory_log() -> MemoryLog:
    """A log in memory."""
    return MemoryLog()


@pytest.fixture
def gateway(settings: Settings, register: Register, local_log: LocalLog) -> Gateway:
    """The gateway, secured, on the real log."""
    return Gateway(settings, register, local_log)


@pytest.fixture
def make_gateway(register: Register, memory_log: MemoryLog) -> Callable[..., Gateway]:
    """Make a gateway of other settings on the log in memory."""

    def make(settings: Settings, *, insecure: bool = False) -> Gateway:
        return Gateway(settings, register, memory_log, insecure=insecure)

    return make
