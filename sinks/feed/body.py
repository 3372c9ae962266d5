"""How large a request's body may be."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses bodies that are too large, as an ASGI application around another; streams pass untouched.

    A body that says its length is refused unread; one that comes in pieces is refused when it passes the limit.

    Args:
        app: what reads the bodies.
        limit: the largest body, in bytes.
        own: paths whose bodies are limited by their own routes.
    """

    def __init__(self, app: ASGIApp, *, limit: int, own: tuple[str, ...] = ()) -> None:
        self._app = app
        self._limit = limit
        self._own = own
        self._detail = f"the body is over {limit} bytes; send less (the setting limits.body_bytes allows more)"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")).startswith(self._own):
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._limit:
            await JSONResponse({"detail": self._detail}, 413)(scope, receive, send)
            return
        left = self._limit

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, self._detail)
            return message

        await self._app(scope, counted, send)
