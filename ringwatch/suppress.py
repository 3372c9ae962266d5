"""The command `suppress`: a person's word on a number or contact, which wins over every rule."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from ringwatch.asking import Place, ask_program, print_json
from ringwatch.durations import hours_of
from schemas.settings import ConfigurationError, Settings

# What a person reads in one go; the API has the rest.
_SUPPRESSIONS = 1_000


def run_suppress(
    settings: Settings,
    place: Place,
    *,
    kind: str,
    value: str | None,
    allow: bool,
    end: bool,
    author: str | None,
    reason: str | None,
    length: str | None,
    as_json: bool,
) -> None:
    """Suppress or allow a number or contact, end such a word, or with the kind `list` print what holds.

    Raises:
        ConfigurationError: nothing answered, or it refused; or options that do not go together.
    """
    if kind == "list":
        if value is not None or allow or end or author or reason or length:
            raise ConfigurationError("list: goes with --json alone; leave the other options out")
        _list(settings, place, as_json=as_json)
        return
    if value is None:
        raise ConfigurationError(f"{kind}: the {kind} itself is missing; write it as E.164, e.g. +12025550123")
    if author is None:
        raise ConfigurationError("--author: missing; a person's word is recorded with who says so")
    path = f"/v1/suppressions/{kind}/{quote(value, safe='+')}"
    if end:
        if allow or reason or length:
            raise ConfigurationError("--end: goes with --author alone; leave the other options out")
        answer = ask_program(settings, place, "DELETE", path, query={"author": author})
        words = "is no longer " + ("allowed" if answer["allow"] else "suppressed") + "; what the rules say holds"
    else:
        if reason is None:
            raise ConfigurationError("--reason: missing; say in a few words why")
        body = {"allow": allow, "author": author, "reason": reason}
        if length is not None:
            body["hours"] = hours_of(length)
        answer = ask_program(settings, place, "POST", path, body=body)
        until = f"until {answer['until']}" if answer["until"] else "until somebody ends it"
        words = f"is {'allowed' if allow else 'suppressed'} {until}"
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['kind']} {answer['value']} {words}")


def _list(settings: Settings, place: Place, *, as_json: bool) -> None:
    def get(path: str) -> Any:
        return ask_program(settings, place, "GET", path)

    overrides = get("/v1/overrides")["items"]
    page = get(f"/v1/suppressions?limit={_SUPPRESSIONS}")
    if as_json:
        print_json({"suppressions": page["items"], "overrides": overrides})
        return
    for one in page["items"]:
        click.echo(f"{one['kind']}  {one['value']}  {one['rule']}  {_until(one)}  {one['reason']}")
    for one in overrides:
        if one["allow"]:
            click.echo(f"{one['kind']}  {one['value']}  allowed by {one['author']}  {_until(one)}  {one['reason']}")
    if page["next"] is not None:
        click.echo(f"these are the first {_SUPPRESSIONS}; /v1/suppressions.csv has them all", err=True)


def _until(one: dict[str, Any]) -> str:
    return f"until {one['until']}" if one["until"] else "for good"
