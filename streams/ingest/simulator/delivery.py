"""The way from Twilio to the gateway: late, twice, or not at all."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from schemas.times import SECOND
from streams.ingest.simulator.draws import Draw, between, lognormal
from streams.ingest.simulator.line import Event, Line
from streams.ingest.simulator.scenario import Transport

# A captured callback came half a second after its Timestamp; few take less than 0.2 s or more than 2 s.
_MEDIAN_SECONDS, _SPREAD = 0.5, 0.5
_LEAST_SECONDS, _USUAL_SECONDS = 0.2, 2.0

# A duplicate is a retry after an answer that never arrived: at once, or when the time for an answer was up.
_REPEAT_SECONDS = (0.5, 15.0)


class Delivery:
    """Holds what is on its way; gives it out in the order of receipt and counts what it did.

    Attributes:
        lost: callbacks that never came.
        duplicates: callbacks that came again, counted when given out.
        delivered: lines given out, duplicates included.
    """

    def __init__(self, transport: Transport) -> None:
        self.lost = 0
        self.duplicates = 0
        self.delivered = 0
        self._transport = transport
        self._sent = 0
        # Lines of one instant come in the order they were sent.
        self._under_way: list[tuple[int, int, bool, Line]] = []

    def send(
        self,
        draw: Draw,
        sent_at: int,
        path: str,
        params: dict[str, str],
        *,
        events: tuple[Event, ...] | None = None,
        may_be_lost: bool = True,
    ) -> int:
        """Put a request on its way: parameters, or events in their place.

        Returns:
            When it is received, or would have been.
        """
        transport = self._transport
        received_at = sent_at + self._lag(draw)
        fate = draw()
        if fate < transport.loss_share and may_be_lost:
            self.lost += 1
            return received_at
        self._push(Line(received_at, path, params, events), repeats=False)
        if fate > 1.0 - transport.duplicate_share:
            again_at = received_at + int(between(draw, *_REPEAT_SECONDS) * SECOND)
            self._push(Line(again_at, path, params, events), repeats=True)
        return received_at

    def received_before(self, moment: int) -> Iterator[Line]:
        """Give out what is received before a moment; nothing sent later may be received before it."""
        while self._under_way and self._under_way[0][0] < moment:
            _, _, repeats, line = heapq.heappop(self._under_way)
            self.delivered += 1
            self.duplicates += repeats
            yield line

    def _push(self, line: Line, *, repeats: bool) -> None:
        self._sent += 1
        heapq.heappush(self._under_way, (line.received_at, self._sent, repeats, line))

    def _lag(self, draw: Draw) -> int:
        if draw() < self._transport.slow_share:
            return int(between(draw, _USUAL_SECONDS, self._transport.slow_seconds) * SECOND)
        usual = lognormal(draw, _MEDIAN_SECONDS, _SPREAD)
        return int(min(_USUAL_SECONDS, max(_LEAST_SECONDS, usual)) * SECOND)
