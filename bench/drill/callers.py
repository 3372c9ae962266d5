"""Twilio as the gateway sees it: many callers who sign, and try again until they are told 2xx."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import aiohttp
from yarl import URL

from streams.ingest.simulator import Line
from streams.ingest.simulator.signing import signer

_CALLERS: Final = 12
_RETRY_SECONDS: Final = 0.25
# As long as Twilio waits.
_ANSWER_SECONDS: Final = 15.0


def identity(params: Mapping[str, Any]) -> str:
    """A request's parameters as one text."""
    return json.dumps(params, sort_keys=True)


class Callers:
    """Callers who send lines until each was accepted.

    Args:
        address: gives the gateway's base URL; None while there is none.
        token: of the account, to sign with.
        public_url: that Twilio would call.
        rate: lines a second while all goes well.

    Attributes:
        accepted: requests that got a 2xx, by identity.
        doubtful: requests that got no answer, or a 503: they may have been written nevertheless.
        refused: how many got a 503.
    """

    def __init__(self, address: Callable[[], str | None], token: str, public_url: str, rate: float) -> None:
        self._address = address
        self._sign = signer(token, public_url)
        self._pause = 2 * _CALLERS / rate
        self._random = random.Random(7)
        self.accepted: Counter[str] = Counter()
        self.doubtful: Counter[str] = Counter()
        self.refused = 0

    async def play(self, lines: Sequence[Line]) -> None:
        """Send the lines, roughly in order; return once all are accepted."""
        upcoming = iter(lines)
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        cookies = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=cookies, timeout=timeout) as session, asyncio.TaskGroup() as group:
            for _ in range(_CALLERS):
                group.create_task(self._call(session, upcoming))

    async def _call(self, session: aiohttp.ClientSession, upcoming: Iterator[Line]) -> None:
        for line in upcoming:
            while not await self._is_accepted(session, line):  # noqa: ASYNC110 - a caller that tries again
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(self._pause * self._random.random())

    async def _is_accepted(self, session: aiohttp.ClientSession, line: Line) -> bool:
        address = self._address()
        if address is None:
            return False
        request = self._sign(line)
        url = URL(address + request.path, encoded=True)
        name = identity(line.params)
        try:
            async with session.post(url, data=request.body, headers=request.headers) as answer:
                await answer.read()
        except aiohttp.ClientConnectorError:
            return False
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
            # The gateway may have taken it and could not say so.
            self.doubtful[name] += 1
            return False
        if answer.status == 503:
            self.refused += 1
            self.doubtful[name] += 1
            return False
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"the gateway answered {answer.status} to {name}")
        self.accepted[name] += 1
        return True
