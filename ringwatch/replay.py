"""The command `replay`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

from ringwatch.garbage import rare_collections
from ringwatch.register import read_register
from ringwatch.verdict import judge
from schemas.alert import Alert
from schemas.log import NewRecord
from schemas.settings import ConfigurationError, Settings
from schemas.topics import CALLBACKS, CALLS, DEADLETTERS, OPTOUTS
from streams.agents.replay import Replay
from streams.ingest.replay_lines import UnreadableLineError, read_line
from streams.ingest.simulator import Truth, read_truth
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record

# How many bad lines are shown; the rest are counted.
_SHOWN = 5


def run_replay(files: tuple[Path, ...], settings: Settings, *, as_json: bool, truth_file: Path | None = None) -> int:
    """Replay files in the order given; print transitions on standard output and a summary on standard error.

    Args:
        files: of replay lines; `-` is standard input.
        settings: rules and register.
        as_json: whether transitions are printed as JSON.
        truth_file: what `simulate` injected; what was found is then held against it, on standard error.

    Returns:
        1 if no line could be read, a stage could not apply a record, or the alerts are not those that the truth asks
        for; else 0.

    Raises:
        ConfigurationError: a file can't be opened.
    """
    truth = None if truth_file is None else _read_truth(truth_file)
    started = time.perf_counter()
    terms = Terms.of(settings, read_register(settings))
    counts: Counter[str] = Counter()
    replay = Replay(settings)
    with rare_collections():
        alerts = replay.alerts(_records(files, terms, counts))
    for alert in alerts:
        _print(alert, as_json=as_json)
    seconds = time.perf_counter() - started
    _summarise(counts, replay, alerts, seconds)
    verdict = None if truth is None else judge(truth, alerts)
    for told in () if verdict is None else verdict.told():
        click.echo(told, err=True)
    nothing_read = counts["lines"] > 0 and counts["unreadable"] == counts["lines"]
    is_wrong = verdict is not None and not verdict.is_right
    return 1 if nothing_read or _rejected(counts, replay) or is_wrong else 0


def _read_truth(file: Path) -> Truth:
    try:
        return read_truth(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--truth: {file}: {error.strerror}; name a file that simulate wrote") from error
    except ValueError as error:
        raise ConfigurationError(f"--truth: {file}: {error}; name a file that simulate --truth wrote") from error


def _records(files: Iterable[Path], terms: Terms, counts: Counter[str]) -> Iterator[NewRecord]:
    for file in files:
        for number, line in enumerate(_lines(file), 1):
            stripped = line.strip()
            if not stripped:
                continue
            counts["lines"] += 1
            try:
                understood = read_line(stripped, terms)
            except UnreadableLineError as error:
                counts["unreadable"] += 1
                if counts["unreadable"] <= _SHOWN:
                    click.echo(f"ringwatch: {file}:{number}: {error}", err=True)
                continue
            for record in map(new_record, understood):
                counts[record.topic] += 1
                yield record


def _lines(file: Path) -> Iterator[bytes]:
    if file == Path("-"):
        yield from sys.stdin.buffer
        return
    try:
        with file.open("rb") as lines:
            yield from lines
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}; name a file of replay lines") from error


def _print(alert: Alert, *, as_json: bool) -> None:
    public = alert.as_public()
    if as_json:
        click.echo(msgspec.json.encode(public))
    else:
        kind, value = alert.subject.kind.value, alert.subject.value
        click.echo(f"{public['at']}  {alert.state.value:9} {alert.rule}  {kind} {value}: {alert.message}")


def _rejected(counts: Counter[str], replay: Replay) -> int:
    """Records that a stage set aside, beside the dead letters that the lines themselves gave."""
    return replay.emitted[DEADLETTERS.name] - counts[DEADLETTERS.name]


def _summarise(counts: Counter[str], replay: Replay, alerts: list[Alert], seconds: float) -> None:
    rate = counts["lines"] / seconds if seconds else 0.0
    click.echo(
        f"{counts['lines']} lines ({counts['unreadable']} unreadable), {counts[CALLBACKS.name]} callbacks, "
        f"{replay.emitted[CALLS.name]} facts about calls, {counts[OPTOUTS.name]} opt-out signals, "
        f"{replay.emitted[DEADLETTERS.name]} dead letters; "
        f"{len(alerts)} transitions of {len({alert.alert_id for alert in alerts})} alerts; "
        f"{seconds:.1f} s, {rate:,.0f} lines a second",
        err=True,
    )
