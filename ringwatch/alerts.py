"""The commands `alerts …`: what fires, and who wants to be left alone with it."""

from __future__ import annotations

from urllib.parse import quote

import click

from ringwatch.asking import Place, ask_program, print_json
from ringwatch.durations import hours_of
from schemas.settings import ConfigurationError, Settings

# What a person reads in one go; the API has the rest.
_ALERTS = 1_000


def run_list(settings: Settings, place: Place, *, everything: bool, as_json: bool) -> None:
    """Print the alerts that fire, or with `everything` those that have resolved too, newest first.

    Raises:
        ConfigurationError: nothing answered, or it refused.
    """
    query = "" if everything else "?state=firing&state=inhibited"
    answer = ask_program(
        settings,
        place,
        "GET",
        f"/v1/alerts{query}{'&' if query else '?'}limit={_ALERTS}",
    )
    if as_json:
        print_json(answer["items"])
        return
    for alert in answer["items"]:
        subject = alert["subject"]
        marks = [f"acknowledged by {alert['acknowledged_by']}"] if alert.get("acknowledged_by") else []
        marks += [f"silenced by {one}" for one in alert.get("silenced_by") or ()]
        click.echo(
            f"{alert['alert_id']}  {alert['state']:<9}  {alert['severity']:<8}  {alert['at']}  {alert['rule']}  "
            f"{subject['kind']}:{subject['value']}{''.join(f'  [{mark}]' for mark in marks)}\n    {alert['message']}"
        )
    if answer["next"] is not None:
        click.echo(f"these are the latest {_ALERTS}; /v1/alerts has the others by page", err=True)


def run_silence(
    settings: Settings,
    place: Place,
    *,
    rule: str | None,
    subject: str | None,
    campaign: str | None,
    length: str,
    author: str,
    comment: str,
) -> None:
    """Silence alerts for a length of time, and print the silence's id.

    Raises:
        ConfigurationError: nothing answered, or it refused; or the subject is none.
    """
    matchers = {"rule": rule, "campaign": campaign}
    if subject is not None:
        kind, colon, value = subject.partition(":")
        if not colon or not value:
            raise ConfigurationError(f"--subject: {subject!r} is none; write it as number:+12025550123")
        matchers |= {"kind": kind, "value": value}
    given = {name: value for name, value in matchers.items() if value is not None}
    if not given:
        raise ConfigurationError("--rule: missing; give at least one of --rule, --subject and --campaign")
    body = {"matchers": given, "hours": hours_of(length), "author": author, "comment": comment}
    answer = ask_program(settings, place, "POST", "/v1/silences", body=body)
    click.echo(answer["silence_id"])
    click.echo(f"silenced until {answer['ends_at']}", err=True)


def run_unsilence(settings: Settings, place: Place, silence_id: str, author: str) -> None:
    """End a silence or an acknowledgement.

    Raises:
        ConfigurationError: nothing answered, or it refused.
    """
    path = f"/v1/silences/{quote(silence_id, safe='')}"
    answer = ask_program(settings, place, "DELETE", path, query={"author": author})
    click.echo(f"{answer['silence_id']} has ended", err=True)


def run_silences(settings: Settings, place: Place, *, everything: bool, as_json: bool) -> None:
    """Print the silences and acknowledgements that hold or are to come, or with `everything` the expired ones too.

    Raises:
        ConfigurationError: nothing answered, or it refused.
    """
    query = "" if everything else "?state=active&state=pending"
    answer = ask_program(settings, place, "GET", f"/v1/silences{query}")
    if as_json:
        print_json(answer["items"])
        return
    for silence in answer["items"]:
        matchers = " ".join(f"{name}={value}" for name, value in silence["matchers"].items() if value is not None)
        end = f"until {silence['ends_at']}" if silence["ends_at"] else "until it resolves"
        ended = f", ended by {silence['ended_by']}" if silence["ended_by"] else ""
        click.echo(
            f"{silence['silence_id']}  {silence['state']:<7}  {matchers}  {end}{ended}\n"
            f"    {silence['author']}: {silence['comment']}"
        )


def run_acknowledge(settings: Settings, place: Place, alert_id: str, author: str, comment: str) -> None:
    """Say that somebody looks after an alert.

    Raises:
        ConfigurationError: nothing answered, or it refused.
    """
    body = {"author": author, "comment": comment}
    path = f"/v1/alerts/{quote(alert_id, safe='')}/acknowledgement"
    answer = ask_program(settings, place, "POST", path, body=body)
    click.echo(answer["silence_id"])
    click.echo(f"acknowledged by {answer['author']} until it resolves", err=True)
