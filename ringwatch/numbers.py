"""The commands `numbers list` and `numbers sync`: the register's numbers, and what Twilio's account knows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ringwatch.register import read_register
from schemas.register import (
    COLUMNS,
    Kind,
    RegisteredNumber,
    Rows,
    read_file,
    replace_file,
    write_rows,
)
from schemas.settings import ConfigurationError, Settings
from streams.ingest.twilio_account import Account, AccountNumber, read_account

_FORMATS = {".csv", ".toml"}


class Merged(msgspec.Struct, frozen=True):
    """What a register becomes by what the account says.

    Attributes:
        rows: by number; those that were there first, in their order.
        added: numbers that are new.
        changed: what is new of numbers that were there, in words.
        gone: numbers that are no longer in the account; their rows stay as they are.
    """

    rows: dict[str, RegisteredNumber]
    added: list[str]
    changed: dict[str, str]
    gone: list[str]


def merge(known: dict[str, RegisteredNumber], account: Account) -> Merged:
    """Put what the account says into the rows of a register; what a person wrote there stays.

    Args:
        known: the register's rows.
        account: what was read.
    """
    rows = dict(known)
    added, changed = [], {}
    for one in account.numbers:
        row = known.get(one.number)
        fresh = _updated(row or RegisteredNumber(number=one.number), one, account)
        rows[one.number] = fresh
        if row is None:
            added.append(one.number)
        elif fresh != row:
            changed[one.number] = _difference(row, fresh)
    there = {one.number for one in account.numbers}
    return Merged(rows, added, changed, [number for number in known if number not in there])


def _updated(row: RegisteredNumber, one: AccountNumber, account: Account) -> RegisteredNumber:
    # A name may also be registered by Twilio's support or with a carrier, of which the account does not know.
    named = msgspec.structs.replace(row, cnam=one.cnam or row.cnam)
    if not account.has_trust_hub:
        return named
    return msgspec.structs.replace(
        named, trust_hub=one.trust_hub, voice_integrity=one.voice_integrity, shaken=one.shaken
    )


def _difference(before: RegisteredNumber, after: RegisteredNumber) -> str:
    return ", ".join(
        f"{column}: {_shown(getattr(before, column))} becomes {_shown(getattr(after, column))}"
        for column in COLUMNS
        if getattr(before, column) != getattr(after, column)
    )


def run_sync(settings: Settings, out: Path | None, *, dry_run: bool) -> None:
    """Read Twilio's account, and write what it knows of the numbers into the register.

    Args:
        settings: name account and register.
        out: the file to write; without one, the register itself.
        dry_run: only say what would be written.

    Raises:
        ConfigurationError: account or register can't be read, or the file not be written.
    """
    target = out or settings.register_file
    if target is None:
        raise ConfigurationError("register_file: missing; set RINGWATCH_REGISTER_FILE, or name a file with --out")
    if target.suffix.lower() not in _FORMATS:
        raise ConfigurationError(f"{target}: name the register with .csv or .toml")
    _held(settings, target)
    account = read_account(settings)
    # That took a while, in which somebody may have written the file.
    held = _held(settings, target)
    merged = merge(held.numbers, account)
    if not dry_run:
        content = write_rows(target.suffix.lower(), Kind.NUMBERS, msgspec.structs.replace(held, numbers=merged.rows))
        replace_file(target, content)
    _report(merged, account, target, dry_run=dry_run)


def _held(settings: Settings, target: Path) -> Rows:
    """Read what the register holds now; a file that is to be made holds nothing."""
    source = settings.register_file
    if source is None or (source == target and not source.exists()):
        return Rows()
    held = read_file(source, "register_file")
    if target.suffix.lower() == ".csv" and (held.campaigns or held.contacts):
        raise ConfigurationError(
            f"{source} holds campaigns or contacts, which {target} can't; name a .toml file with --out"
        )
    return held


def _report(merged: Merged, account: Account, target: Path, *, dry_run: bool) -> None:
    for number in merged.added:
        click.echo(f"new      {number}")
    for number, words in merged.changed.items():
        click.echo(f"changed  {number}  {words}")
    for number in merged.gone:
        click.echo(f"gone     {number}  no longer in the account; its row stays")
    same = len(account.numbers) - len(merged.added) - len(merged.changed)
    if not account.has_trust_hub:
        click.echo(
            "this account has no Trust Hub profile, so trust_hub, voice_integrity and shaken stay as they are; a "
            "subaccount's may be in its main account (twilio.account_sid, and twilio.subaccounts = true)",
            err=True,
        )
    click.echo(
        f"{len(account.numbers)} numbers in the account: {len(merged.added)} new, {len(merged.changed)} changed, "
        f"{same} as they were; {'nothing written' if dry_run else f'written to {target}'}",
        err=True,
    )


def run_list(settings: Settings, *, as_json: bool) -> None:
    """Print the numbers of the register.

    Raises:
        ConfigurationError: it can't be read, or none is configured.
    """
    if settings.register_file is None:
        raise ConfigurationError("register_file: missing; set RINGWATCH_REGISTER_FILE to a CSV or TOML file")
    numbers = list(read_register(settings).numbers.values())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(numbers), indent=2))
        return
    lines = [COLUMNS, *([_shown(getattr(row, column)) for column in COLUMNS] for row in numbers)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(COLUMNS))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
