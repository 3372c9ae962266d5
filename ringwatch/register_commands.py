"""The command line's `numbers …` and `contacts …`: the company's numbers, and who is not to be called."""

from __future__ import annotations

from pathlib import Path

import click

from ringwatch.command import common, run, settings_of


@click.group()
def numbers() -> None:
    """List the register's numbers, and fill them from Twilio's account."""


@numbers.command("list")
@common
@click.option("--json", "as_json", is_flag=True, help="The numbers as JSON.")
def numbers_list(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Print the numbers of the register."""
    from ringwatch.numbers import run_list

    run(run_list, settings_of(config, data=data), as_json=as_json)


@numbers.command("sync")
@common
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default the register itself.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
def numbers_sync(data: Path | None, config: Path | None, out: Path | None, dry_run: bool) -> None:
    """Write what Twilio's account knows of the numbers into the register."""
    from ringwatch.numbers import run_sync

    run(run_sync, settings_of(config, data=data), out, dry_run=dry_run)


@click.group()
def contacts() -> None:
    """Keep lists of people who are not to be called."""


@contacts.command("import")
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--list", "name", required=True, help="The list's name.")
@click.option("--date", "day", required=True, help="The day from which it holds, ISO 8601.")
def contacts_import(data: Path | None, config: Path | None, file: Path, name: str, day: str) -> None:
    """Opt out everybody on a do-not-call list."""
    from ringwatch.contacts import run_import

    run(run_import, settings_of(config, data=data), file, name, day)


@contacts.command("remove")
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--list", "name", required=True, help="The list's name.")
@click.option("--date", "day", required=True, help="The day from which they are off it, ISO 8601.")
def contacts_remove(data: Path | None, config: Path | None, file: Path, name: str, day: str) -> None:
    """Take people off a do-not-call list; other lists and their own opt-outs stand."""
    from ringwatch.contacts import run_removal

    run(run_removal, settings_of(config, data=data), file, name, day)
