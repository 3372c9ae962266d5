"""Play lines to a running gateway over HTTP, signed, in their own time or faster."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import aiohttp
import msgspec
from yarl import URL

from schemas.times import SECOND
from streams.ingest.simulator.line import Line
from streams.ingest.simulator.signing import SignedRequest, signer

# Twilio's own bound on a request and on its retries, with `#rc=5&rp=all` in the callback URL.
_TIMEOUT_SECONDS = 15.0
_RETRIES = 5

# Without Retry-After, the first wait before a retry; it doubles each time, so that five outlast a short restart.
_FIRST_WAIT_SECONDS = 0.2

_FAILED = 500


class Delivered(msgspec.Struct, frozen=True):
    """What became of one line.

    Attributes:
        line: the line.
        status: the last HTTP status; None if no answer came.
        attempts: requests made for it.
    """

    line: Line
    status: int | None
    attempts: int


class PlayResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all lines, by the last answer to each.

    Attributes:
        lines: lines played.
        accepted: answered 2xx.
        refused: answered 4xx, or with anything else that is neither success nor failure.
        failed: answered 5xx to the last.
        unanswered: never answered.
        retries: requests made again.
        seconds: from the first request to the last answer.
    """

    lines: int
    accepted: int
    refused: int
    failed: int
    unanswered: int
    retries: int
    seconds: float


async def play(
    lines: Iterable[Line],
    base_url: str,
    sign_url: str,
    token: str,
    *,
    speed: float | None = None,
    seconds: float | None = None,
    concurrency: int = 16,
    retries: int = _RETRIES,
    on_progress: Callable[[Delivered], None] | None = None,
) -> PlayResult:
    """Post lines to a gateway and count its answers.

    Requests start in the order of the lines; up to `concurrency` are under way at once. A 5xx, a broken connection and
    an answer that does not come in 15 seconds are tried again, after the Retry-After the gateway names; a 4xx is not,
    as the same request would be refused again.

    Args:
        lines: in order of receipt.
        base_url: where the gateway listens, e.g. http://127.0.0.1:8080.
        sign_url: the public base URL that the signatures are made for.
        token: the account's auth token.
        speed: how many times faster than life.
        seconds: how long to take over all, instead of a speed; the lines are then held in memory.
        concurrency: connections.
        retries: how often a request is made again.
        on_progress: called after the last answer to each line.

    Raises:
        ValueError: both a speed and a length, or one that is not above zero.
    """
    lines, speed = _paced(lines, speed, seconds)
    player = _Player(base_url, speed, retries, on_progress, signer(token, sign_url))
    began = time.monotonic()
    upcoming = iter(lines)
    # Compressed answers and cookies are of no use here, and cost time.
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept-Encoding",),
    )
    async with session, asyncio.TaskGroup() as workers:
        for _ in range(concurrency):
            workers.create_task(player.work(session, upcoming))
    return player.result(time.monotonic() - began)


def _paced(lines: Iterable[Line], speed: float | None, seconds: float | None) -> tuple[Iterable[Line], float | None]:
    if speed is not None and seconds is not None:
        raise ValueError("give a speed or a number of seconds, not both")
    for name, value in (("speed", speed), ("seconds", seconds)):
        if value is not None and value <= 0:
            raise ValueError(f"{name} is {value}: give a number above zero")
    if seconds is None:
        return lines, speed
    held = list(lines)
    span = (held[-1].received_at - held[0].received_at) / SECOND if held else 0.0
    return held, span / seconds if span else None


class _Player:
    def __init__(
        self,
        base_url: str,
        speed: float | None,
        retries: int,
        on_progress: Callable[[Delivered], None] | None,
        sign: Callable[[Line], SignedRequest],
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._speed = speed
        self._retries = retries
        self._on_progress = on_progress
        self._sign = sign
        self._began: tuple[float, int] | None = None
        self._outcomes: Counter[str] = Counter()
        self._retried = 0

    async def work(self, session: aiohttp.ClientSession, upcoming: Iterator[Line]) -> None:
        """Take one line after the other from those all workers share."""
        for line in upcoming:
            await self._until_due(line)
            delivered = await self._deliver(session, line)
            self._retried += delivered.attempts - 1
            self._outcomes[_outcome(delivered.status)] += 1
            if self._on_progress is not None:
                self._on_progress(delivered)

    def result(self, seconds: float) -> PlayResult:
        outcomes = self._outcomes
        return PlayResult(
            lines=outcomes.total(),
            accepted=outcomes["accepted"],
            refused=outcomes["refused"],
            failed=outcomes["failed"],
            unanswered=outcomes["unanswered"],
            retries=self._retried,
            seconds=seconds,
        )

    async def _until_due(self, line: Line) -> None:
        if self._speed is None:
            return
        now = time.monotonic()
        if self._began is None:
            self._began = (now, line.received_at)
        began, first = self._began
        ahead = began + (line.received_at - first) / SECOND / self._speed - now
        if ahead > 0:
            await asyncio.sleep(ahead)

    async def _deliver(self, session: aiohttp.ClientSession, line: Line) -> Delivered:
        request = self._sign(line)
        url = URL(self._base_url + request.path, encoded=True)
        wait = _FIRST_WAIT_SECONDS
        attempt = 1
        while True:
            status, retry_after = await _post(session, url, request)
            if (status is not None and status < _FAILED) or attempt > self._retries:
                return Delivered(line, status, attempt)
            await asyncio.sleep(wait if retry_after is None else retry_after)
            attempt += 1
            wait *= 2


async def _post(session: aiohttp.ClientSession, url: URL, request: SignedRequest) -> tuple[int | None, float | None]:
    try:
        async with session.post(url, data=request.body, headers=request.headers, allow_redirects=False) as answer:
            await answer.read()
            return answer.status, _seconds(answer.headers.get("Retry-After"))
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
        return None, None


def _seconds(retry_after: str | None) -> float | None:
    # The other form, a date, is not one that a gateway sends.
    if retry_after is None or not retry_after.isdecimal():
        return None
    return min(float(retry_after), _TIMEOUT_SECONDS)


def _outcome(status: int | None) -> str:
    if status is None:
        return "unanswered"
    if 200 <= status < 300:  # noqa: PLR2004 - success, in HTTP
        return "accepted"
    return "failed" if status >= _FAILED else "refused"
