"""The command line's `alerts …` and `suppress`: what people say to a running ringwatch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ringwatch.command import F, config_option, run, settings_of


def _place(command: F) -> F:
    """Options of commands that ask a running ringwatch."""
    for option in (
        click.option("--data", type=click.Path(path_type=Path), help="Folder of the running `ringwatch up`."),
        config_option,
        click.option("--url", help="Base URL of the API, such as that of `ringwatch feed`, in place of --data."),
        click.option("--token", help="Bearer token for it; default the setting api_token."),
    ):
        command = option(command)
    return command


_author = click.option("--author", required=True, help="Who says so; it is recorded.")


@click.group()
def alerts() -> None:
    """List alerts, silence them, and say who looks after them."""


@alerts.command("list")
@_place
@click.option("--all", "everything", is_flag=True, help="Those that have resolved, too.")
@click.option("--json", "as_json", is_flag=True, help="The alerts as JSON.")
def alerts_list(everything: bool, as_json: bool, **place: Any) -> None:
    """Print the alerts that fire, newest first."""
    from ringwatch.alerts import run_list

    _ask(run_list, place, everything=everything, as_json=as_json)


@alerts.command("silence")
@_place
@click.option("--rule", help="Alerts of this rule.")
@click.option("--subject", help="Alerts on this subject, such as number:+12025550123.")
@click.option("--campaign", help="Alerts of this campaign and its numbers.")
@click.option("--for", "length", required=True, help="For how long: 90m, 2h, 7d.")
@_author
@click.option("--comment", required=True, help="Why.")
def alerts_silence(
    rule: str | None, subject: str | None, campaign: str | None, length: str, author: str, comment: str, **place: Any
) -> None:
    """Keep alerts from being told for some time; of several options all must fit."""
    from ringwatch.alerts import run_silence

    _ask(
        run_silence,
        place,
        rule=rule,
        subject=subject,
        campaign=campaign,
        length=length,
        author=author,
        comment=comment,
    )


@alerts.command("unsilence")
@_place
@click.argument("silence_id")
@_author
def alerts_unsilence(silence_id: str, author: str, **place: Any) -> None:
    """End a silence or an acknowledgement before its time."""
    from ringwatch.alerts import run_unsilence

    _ask(run_unsilence, place, silence_id, author)


@alerts.command("silences")
@_place
@click.option("--all", "everything", is_flag=True, help="Those that have expired, too.")
@click.option("--json", "as_json", is_flag=True, help="The silences as JSON.")
def alerts_silences(everything: bool, as_json: bool, **place: Any) -> None:
    """Print the silences and acknowledgements, the latest first."""
    from ringwatch.alerts import run_silences

    _ask(run_silences, place, everything=everything, as_json=as_json)


@alerts.command("ack")
@_place
@click.argument("alert_id")
@_author
@click.option("--comment", default="", help="What is done about it.")
def alerts_ack(alert_id: str, author: str, comment: str, **place: Any) -> None:
    """Say that somebody looks after an alert: it is not repeated until it resolves."""
    from ringwatch.alerts import run_acknowledge

    _ask(run_acknowledge, place, alert_id, author, comment)


@click.command()
@_place
@click.argument("kind", type=click.Choice(["number", "contact", "list"]))
@click.argument("value", required=False)
@click.option("--allow", is_flag=True, help="Allow it, whatever the rules say.")
@click.option("--end", is_flag=True, help="End what somebody said of it; the rules hold again.")
@click.option("--author", help="Who says so; it is recorded.")
@click.option("--reason", help="Why.")
@click.option("--for", "length", help="For how long: 90m, 2h, 7d; default until somebody ends it.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
def suppress(kind: str, value: str | None, **options: Any) -> None:
    """Suppress a number or contact, or allow it: a person's word, which wins over every rule."""
    from ringwatch.suppress import run_suppress

    place = {name: options.pop(name) for name in ("data", "config", "url", "token")}
    _ask(run_suppress, place, kind=kind, value=value, **options)


def _ask(command: Callable[..., None], place: dict[str, Any], *arguments: object, **options: object) -> None:
    """Run a command that asks a running ringwatch."""
    from ringwatch.asking import Place

    settings = settings_of(place["config"], data=place["data"])
    run(command, settings, Place(place["url"], place["token"]), *arguments, **options)
