"""The register over HTTP: what is loaded, and its parts written whole; who may ask is for the app around it."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel
from starlette.routing import BaseRoute

from schemas.register import Kind, UnwritableFileError
from schemas.settings import ConfigurationError
from schemas.times import to_iso
from streams.ingest.register_files import NoFileError, RegisterFiles

_SUFFIXES = {"text/csv": ".csv", "application/toml": ".toml"}


class RegisterState(BaseModel):
    """What is loaded, and whether the files can be used as they are now.

    Attributes:
        numbers: how many numbers are known.
        campaigns: how many campaigns.
        contacts: how many contacts.
        loaded_at: when this register was loaded, ISO 8601 in UTC.
        files: what it is read from.
        error: why the files as they are now were not loaded, a line for each problem; null if they were.
        error_at: when that was found.
    """

    numbers: int
    campaigns: int
    contacts: int
    loaded_at: str
    files: list[str]
    error: list[str] | None
    error_at: str | None


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            media: {"schema": {"type": "string", "description": "The rows, as in the register's files."}}
            for media in _SUFFIXES
        },
    }
}


def register_routes(files: RegisterFiles, *, limit: int) -> list[BaseRoute]:
    """`GET /v1/register`, and `PUT /v1/register/numbers`, `/campaigns` and `/contacts`.

    Args:
        files: what is loaded, and where it is written.
        limit: the largest body, in bytes.
    """
    router = APIRouter(tags=["register"])

    @router.get("/v1/register", response_model=RegisterState)
    async def get_register() -> RegisterState:
        """Say what is loaded, and whether the files can be used as they are now."""
        return _state(files)

    @router.put(
        "/v1/register/{kind}",
        response_model=RegisterState,
        openapi_extra=_BODY,
        responses={
            409: {"description": "No file is configured for these rows, or it can't be written."},
            413: {"description": "The body is too large."},
            415: {"description": "The body is neither CSV nor TOML."},
            422: {"description": "Rows that can't be used, a line for each problem; nothing was changed."},
        },
    )
    async def put_register(kind: Kind, request: Request) -> RegisterState:
        """Put rows in the place of all of their kind: checked whole, written to the configured file, and loaded."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        suffix = _SUFFIXES.get(media)
        if suffix is None:
            raise HTTPException(415, f"send the rows as {' or '.join(_SUFFIXES)}, and say so in Content-Type")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise HTTPException(
                    413, f"the body is over {limit} bytes (the setting limits.register_body_bytes allows more)"
                )
        try:
            await files.replace(kind, suffix, bytes(body))
        except (NoFileError, UnwritableFileError) as error:
            raise HTTPException(409, str(error)) from None
        except ConfigurationError as error:
            raise HTTPException(422, str(error)) from None
        return _state(files)

    return router.routes


def _state(files: RegisterFiles) -> RegisterState:
    register = files.register
    return RegisterState(
        numbers=len(register.numbers),
        campaigns=len(register.campaigns),
        contacts=len(register.contacts),
        loaded_at=to_iso(files.loaded_at),
        files=[str(path) for path in files.files],
        error=None if files.error is None else files.error.splitlines(),
        error_at=None if files.error_at is None else to_iso(files.error_at),
    )
