"""The HTTP server of a process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from schemas.settings import ConfigurationError, Settings

# How long open connections may take to finish once a stop was asked for: Twilio's own limit on a request.
_GRACE_SECONDS = 15

# Connections that may wait to be taken: bursts of Twilio's come from many machines at once.
_BACKLOG = 2_048


@asynccontextmanager
async def listening(api: FastAPI, settings: Settings) -> AsyncIterator[str]:
    """Serve for as long as the block runs, and let open requests finish at its end; gives the base URL.

    Raises:
        ConfigurationError: the address can't be listened on.
    """
    server = _Server(
        uvicorn.Config(
            api,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            loop="none",
            http="httptools",
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            server_header=False,
            # The gateway judges forwarded headers itself; who is local is not for a header to say.
            proxy_headers=False,
        )
    )
    address = await server.listen()
    try:
        yield address
    finally:
        await server.close()


class _Server(uvicorn.Server):
    """A server whose signals are handled by whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._task: asyncio.Task[None] | None = None

    async def listen(self) -> str:
        """Serve; give the base URL once connections are taken.

        Raises:
            ConfigurationError: the address can't be listened on.
        """
        host, port = self.config.host, self.config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"http: {host}:{port} can't be listened on ({error.strerror}); name another with --http"
            ) from error
        # Not `serve`, which would take the signals for itself.
        self._task = asyncio.create_task(self._serve([listener]))
        while not self.started:  # noqa: ASYNC110 - uvicorn tells by a flag
            await asyncio.sleep(0.005)
        return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    async def close(self) -> None:
        """Take no more connections and let the open requests finish."""
        self.should_exit = True
        if self._task is not None:
            await self._task
