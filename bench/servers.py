"""Servers to be measured, each in a process of its own: `python -m bench.servers NAME FOLDER PROCESSOR`.

`gateway` is the gateway with its log, as `ringwatch up` serves it, without agents, history and board. `empty` is the
same HTTP server with an application that answers 204 and does nothing. `socket` answers 204 to whatever it reads.
Each writes its port as one line to standard output and runs until its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from bench.traffic import ACCOUNT, PUBLIC_URL, TOKEN
from ringwatch.topics import create_topics
from schemas.register import Register
from schemas.settings import load_settings
from sinks.feed.api import create_api
from sinks.feed.board import Board
from streams.ingest.gateway import gateway_routes
from streams.ingest.gateway_metrics import GatewayMetrics
from streams.ingest.terms import CurrentTerms
from streams.transports.local.log import LocalLog

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


async def _ended() -> None:
    await asyncio.to_thread(sys.stdin.buffer.read)


def _say(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


async def _serve(app: object) -> None:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        loop="none",
        http="httptools",
        lifespan="off",
        server_header=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag alone
        await asyncio.sleep(0.01)
    _say(server.servers[0].sockets[0].getsockname()[1])
    await _ended()
    server.should_exit = True
    await serving


async def _empty(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": ()})
    await send({"type": "http.response.body", "body": b""})


async def _gateway(folder: Path) -> None:
    settings = load_settings(data=folder, accounts={ACCOUNT: TOKEN}, public_url=PUBLIC_URL)
    registry = CollectorRegistry()
    with ExitStack() as stack:
        log = LocalLog.open(settings.log_path)
        stack.callback(log.close)
        create_topics(log, settings.partitions)
        terms = CurrentTerms(settings, Register())
        routes = gateway_routes(settings, terms, log, insecure=False, metrics=GatewayMetrics(registry))
        board = Board(log)
        api = create_api(
            settings=settings,
            board=board,
            rolling=None,
            log=log,
            registry=registry,
            readiness={},
            extra_routes=routes,
        )
        await _serve(api)
        board.journal.close()


class _Socket(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one by duck typing alone.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        # The generator has one request under way on a socket, and sends it in one piece.
        if data:
            self._transport.write(_ANSWER)


async def _socket() -> None:
    server = await asyncio.get_running_loop().create_server(_Socket, "127.0.0.1", 0)
    async with server:
        _say(server.sockets[0].getsockname()[1])
        await _ended()


def main() -> None:
    """Serve what the command line names."""
    name, folder, processor = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {processor})
    uvloop.run({"gateway": lambda: _gateway(folder), "empty": lambda: _serve(_empty), "socket": _socket}[name]())


if __name__ == "__main__":
    main()
