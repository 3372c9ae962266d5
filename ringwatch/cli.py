"""The command line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ringwatch.alert_commands import alerts, suppress
from schemas.settings import ConfigurationError, Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])

# What the shell and service supervisors expect: 2 is a usage or configuration error.
_REFUSED = 2


class Refused(click.ClickException):
    """An error the user can mend; its text says how."""

    exit_code = _REFUSED

    def show(self, file: Any = None) -> None:
        """Print the text on standard error, one line a problem."""
        for line in self.message.splitlines():
            click.echo(f"ringwatch: {line}", err=True, file=file)


def _common(command: F) -> F:
    """Options that many commands share."""
    for option in (
        click.option("--data", type=click.Path(path_type=Path), help="Folder of the log, the history and all else."),
        click.option("--config", type=click.Path(path_type=Path), help="Configuration file; default ringwatch.toml."),
    ):
        command = option(command)
    return command


def _settings(config: Path | None, **given: object) -> Settings:
    try:
        return load_settings(config, **given)
    except ConfigurationError as error:
        raise Refused(str(error)) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ringwatch")
def cli() -> None:
    """Watch Twilio calls: callbacks in, caller-reputation alerts out, history in DuckDB."""


@cli.command()
@_common
@click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")
@click.option("--insecure", is_flag=True, help="Take unsigned callbacks; on loopback only.")
def up(data: Path | None, config: Path | None, http: str | None, insecure: bool) -> None:
    """Run gateway, agents, history and feed in one process."""
    from ringwatch.up import serve_up

    _log_to_stderr()
    _run(serve_up, _settings(config, data=data, http=http), insecure=insecure)


@cli.command()
@_common
@click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")
@click.option("--insecure", is_flag=True, help="Take unsigned callbacks; on loopback only.")
def gateway(data: Path | None, config: Path | None, http: str | None, insecure: bool) -> None:
    """Take Twilio's requests into Kafka, in a process of its own."""
    from ringwatch.gateway import serve_gateway

    _log_to_stderr()
    _run(serve_gateway, _settings(config, data=data, http=http), insecure=insecure)


@cli.command()
@_common
@click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")
@click.option("--partitions-report", is_flag=True, help="Say who works off which partition and how far, and stop.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def worker(data: Path | None, config: Path | None, http: str | None, partitions_report: bool, as_json: bool) -> None:
    """Run the agents on Kafka; start as many as there is work for."""
    settings = _settings(config, data=data, http=http)
    if partitions_report:
        from ringwatch.partitions import report_partitions

        _run(report_partitions, settings, as_json=as_json)
        return
    if as_json:
        raise Refused("--json: goes with --partitions-report; add it, or leave --json out")
    from ringwatch.worker import serve_worker

    _log_to_stderr()
    _run(serve_worker, settings)


@cli.command()
@_common
@click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")
def history(data: Path | None, config: Path | None, http: str | None) -> None:
    """Write the history from Kafka and answer SQL, in a process of its own."""
    from ringwatch.history import serve_history

    _log_to_stderr()
    _run(serve_history, _settings(config, data=data, http=http))


@cli.command()
@_common
@click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")
def feed(data: Path | None, config: Path | None, http: str | None) -> None:
    """Serve alerts, suppressions and windows from Kafka, in a process of its own."""
    from ringwatch.feed import serve_feed

    _log_to_stderr()
    _run(serve_feed, _settings(config, data=data, http=http))


@cli.command()
@_common
@click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulated traffic.")
def demo(data: Path | None, config: Path | None, http: str | None, seed: int) -> None:
    """Show the main job on simulated traffic; DEMO_SECONDS=60 in the environment ends it by itself."""
    from ringwatch.demo import run_demo

    _run(run_demo, config, data=data, http=http, seed=seed)


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file; default ringwatch.toml.")
@click.option("--json", "as_json", is_flag=True, help="One alert transition a line, as JSON.")
@click.option("--truth", type=click.Path(path_type=Path), help="What simulate injected; hold the alerts against it.")
def replay(files: tuple[Path, ...], config: Path | None, as_json: bool, truth: Path | None) -> None:
    """Run assembly, windows and detectors over replay lines, without a log; - is standard input."""
    from ringwatch.replay import run_replay

    _run(run_replay, files, _settings(config), as_json=as_json, truth_file=truth)


@cli.command()
@click.option("--scenario", default="collapse", show_default=True, help="What to simulate; see --list.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed writes the same bytes.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the lines; default standard output.")
@click.option("--truth", type=click.Path(path_type=Path), help="File for what was injected, as JSON.")
@click.option("--register", type=click.Path(path_type=Path), help="File for the company's register, as TOML.")
@click.option("--ending-at", help="Where simulated time ends, ISO 8601; default 2026-11-23T14:00:00Z.")
@click.option("--list", "only_list", is_flag=True, help="Name the scenarios and stop.")
@click.option("--describe", is_flag=True, help="With --list: say what each one does.")
def simulate(
    scenario: str,
    seed: int,
    out: Path | None,
    truth: Path | None,
    register: Path | None,
    ending_at: str | None,
    only_list: bool,
    describe: bool,
) -> None:
    """Write callbacks as Twilio would send them, as replay lines."""
    from ringwatch.simulate import list_scenarios, run_simulate

    if only_list or describe:
        list_scenarios(describe=describe)
        return
    _run(run_simulate, scenario, seed, out, truth, ending_at, register)


@cli.command()
@click.argument("query")
@_common
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="How to write the result.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the result; default standard output.")
@click.option("--limit", type=click.IntRange(min=1), help="Rows to return at most.")
def sql(
    query: str,
    data: Path | None,
    config: Path | None,
    output: str,
    as_json: bool,
    out: Path | None,
    limit: int | None,
) -> None:
    """Ask the history, while ringwatch runs and when it doesn't."""
    from ringwatch.sql import run_sql

    _run(run_sql, _settings(config, data=data), query, "json" if as_json else output, out, limit)


@cli.command()
@_common
@click.option("--http", help="HOST:PORT to listen on; default 127.0.0.1:8080.")
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
def check(data: Path | None, config: Path | None, http: str | None, as_json: bool) -> None:
    """Check the configuration and the data folder, and say what is missing."""
    from ringwatch.check import run_check

    _run(run_check, _settings(config, data=data, http=http), as_json=as_json)


@cli.group()
def topics() -> None:
    """Make and check the log's topics."""


@topics.command("create")
@_common
def topics_create(data: Path | None, config: Path | None) -> None:
    """Make the topics that are missing, and mend the settings of the others."""
    from ringwatch.topics import run_topics_create

    _run(run_topics_create, _settings(config, data=data))


@topics.command("check")
@_common
def topics_check(data: Path | None, config: Path | None) -> None:
    """Say what is missing or not as it must be, and how to put it right."""
    from ringwatch.topics import run_topics_check

    _run(run_topics_check, _settings(config, data=data))


@cli.group()
def numbers() -> None:
    """List the register's numbers, and fill them from Twilio's account."""


@numbers.command("list")
@_common
@click.option("--json", "as_json", is_flag=True, help="The numbers as JSON.")
def numbers_list(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Print the numbers of the register."""
    from ringwatch.numbers import run_list

    _run(run_list, _settings(config, data=data), as_json=as_json)


@numbers.command("sync")
@_common
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default the register itself.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
def numbers_sync(data: Path | None, config: Path | None, out: Path | None, dry_run: bool) -> None:
    """Write what Twilio's account knows of the numbers into the register."""
    from ringwatch.numbers import run_sync

    _run(run_sync, _settings(config, data=data), out, dry_run=dry_run)


@cli.group()
def contacts() -> None:
    """Keep lists of people who are not to be called."""


@contacts.command("import")
@_common
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--list", "name", required=True, help="The list's name.")
@click.option("--date", "day", required=True, help="The day from which it holds, ISO 8601.")
def contacts_import(data: Path | None, config: Path | None, file: Path, name: str, day: str) -> None:
    """Opt out everybody on a do-not-call list."""
    from ringwatch.contacts import run_import

    _run(run_import, _settings(config, data=data), file, name, day)


@contacts.command("remove")
@_common
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--list", "name", required=True, help="The list's name.")
@click.option("--date", "day", required=True, help="The day from which they are off it, ISO 8601.")
def contacts_remove(data: Path | None, config: Path | None, file: Path, name: str, day: str) -> None:
    """Take people off a do-not-call list; other lists and their own opt-outs stand."""
    from ringwatch.contacts import run_removal

    _run(run_removal, _settings(config, data=data), file, name, day)


for _command in (alerts, suppress):
    cli.add_command(_command)


def _run(command: Callable[..., int | None], *arguments: object, **options: object) -> None:
    """Run a command; its errors that a user can mend become one line each.

    The commands are imported when they are called: `ringwatch sql` shall not wait for Faust.
    """
    try:
        status = command(*arguments, **options)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Somebody downstream, such as `head`, has read enough.
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if not _can_be_mended(error):
            raise
        raise Refused(str(error)) from error
    if status:
        sys.exit(status)


def _can_be_mended(error: Exception) -> bool:
    from schemas.log import LogUnavailableError
    from sinks.history.errors import HistoryError

    mendable: tuple[type[Exception], ...] = (ConfigurationError, LogUnavailableError, HistoryError)
    if isinstance(error, mendable):
        return True
    from streams.transports.local.errors import LogError

    return isinstance(error, LogError)


# They write the addresses of webhooks, which hold secrets, into the log.
_TELL_ADDRESSES = ("httpx", "httpcore")


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("faust", "mode", "aiokafka", "uvicorn", "streams.agents", "streams.transports", *_TELL_ADDRESSES):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It tells of a broker that is away many times a second; those who use it tell of what comes of it.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    # Faust expects a broker's rebalance before the first assignment, and warns that it saw none.
    logging.getLogger("streams.agents.app").setLevel(logging.ERROR)


def main() -> None:
    """Run the command line."""
    cli.main(prog_name="ringwatch")
