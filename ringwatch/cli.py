"""The command line."""

from __future__ import annotations

from pathlib import Path

import click

from ringwatch.alert_commands import alerts, suppress
from ringwatch.command import common, config_option, http_option, run, settings_of
from ringwatch.process_commands import demo, feed, gateway, history, up, worker
from ringwatch.register_commands import contacts, numbers


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ringwatch")
def cli() -> None:
    """Watch Twilio calls: callbacks in, caller-reputation alerts out, history in DuckDB."""


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@config_option
@click.option("--json", "as_json", is_flag=True, help="One alert transition a line, as JSON.")
@click.option("--truth", type=click.Path(path_type=Path), help="What simulate injected; hold the alerts against it.")
def replay(files: tuple[Path, ...], config: Path | None, as_json: bool, truth: Path | None) -> None:
    """Run assembly, windows and detectors over replay lines, without a log; - is standard input."""
    from ringwatch.replay import run_replay

    run(run_replay, files, settings_of(config), as_json=as_json, truth_file=truth)


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
    run(run_simulate, scenario, seed, out, truth, ending_at, register)


@cli.command()
@click.argument("query")
@common
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

    run(run_sql, settings_of(config, data=data), query, "json" if as_json else output, out, limit)


@cli.command()
@common
@http_option
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
def check(data: Path | None, config: Path | None, http: str | None, as_json: bool) -> None:
    """Check the configuration and the data folder, and say what is missing."""
    from ringwatch.check import run_check

    run(run_check, settings_of(config, data=data, http=http), as_json=as_json)


@cli.group()
def topics() -> None:
    """Make and check the log's topics."""


@topics.command("create")
@common
def topics_create(data: Path | None, config: Path | None) -> None:
    """Make the topics that are missing, and mend the settings of the others."""
    from ringwatch.topics import run_topics_create

    run(run_topics_create, settings_of(config, data=data))


@topics.command("check")
@common
def topics_check(data: Path | None, config: Path | None) -> None:
    """Say what is missing or not as it must be, and how to put it right."""
    from ringwatch.topics import run_topics_check

    run(run_topics_check, settings_of(config, data=data))


for _command in (up, gateway, worker, history, feed, demo, numbers, contacts, alerts, suppress):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    cli.main(prog_name="ringwatch")
