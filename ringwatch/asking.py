"""How commands ask a running ringwatch: the one on the data folder, or the one that is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import httpx
import msgspec

from schemas.settings import ConfigurationError, Settings
from sinks.history.ask import find_running

# An answer comes from memory, or once a record is on disk; more than this is a fault.
_SECONDS = 30.0


class Place(msgspec.Struct, frozen=True):
    """Which ringwatch is asked.

    Attributes:
        url: base URL of its API; None for the program that runs on the data folder.
        token: bearer token for it; None for `api_token` of the settings.
    """

    url: str | None = None
    token: str | None = None


def ask_program(
    settings: Settings,
    place: Place,
    method: str,
    path: str,
    *,
    query: Mapping[str, str | int] | None = None,
    body: Mapping[str, object] | None = None,
) -> Any:
    """Send one request and give the JSON of its answer.

    Args:
        settings: the data folder, and the token where none is given.
        place: which program.
        method: HTTP's.
        path: from `/v1` on.
        query: parameters.
        body: sent as JSON.

    Raises:
        ConfigurationError: nothing runs there, or it refused; the text says why.
        HistoryError: the note of the running program can't be read.
    """
    base, bearer = _where(settings, place)
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    try:
        answer = httpx.request(
            method,
            base.rstrip("/") + path,
            params=dict(query) if query else None,  # an empty one would take away what the path has
            json=None if body is None else dict(body),
            headers=headers,
            timeout=_SECONDS,
            trust_env=place.url is not None,  # a proxy can't reach this machine's loopback
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"{base}: no answer ({error}); see whether ringwatch runs there, or name it with --url"
        ) from error
    if not answer.is_success:
        raise ConfigurationError(f"{base}{path} answered {answer.status_code}: {_reason(answer)}")
    return answer.json()


def print_json(document: Any) -> None:
    """Print a document on standard output, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def _where(settings: Settings, place: Place) -> tuple[str, str]:
    configured = settings.api_token.get_secret_value().strip() if settings.api_token is not None else ""
    if place.url is not None:
        return place.url, place.token or configured
    running = find_running(settings.data)
    if running is None:
        raise ConfigurationError(
            f"data: ringwatch does not run on {settings.data}; start `ringwatch up`, name its folder with --data, or "
            "name the API of the process that has it (`ringwatch feed`) with --url"
        )
    return running.http, place.token or running.token


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200] or answer.reason_phrase
