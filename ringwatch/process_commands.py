"""The command line's `up`, its parts as processes of their own, and `demo`."""

from __future__ import annotations

from pathlib import Path

import click

from ringwatch.command import Refused, common, http_option, log_to_stderr, run, settings_of


@click.command()
@common
@http_option
@click.option("--insecure", is_flag=True, help="Take unsigned callbacks; on loopback only.")
def up(data: Path | None, config: Path | None, http: str | None, insecure: bool) -> None:
    """Run gateway, agents, history and feed in one process."""
    from ringwatch.up import serve_up

    log_to_stderr()
    run(serve_up, settings_of(config, data=data, http=http), insecure=insecure)


@click.command()
@common
@http_option
@click.option("--insecure", is_flag=True, help="Take unsigned callbacks; on loopback only.")
def gateway(data: Path | None, config: Path | None, http: str | None, insecure: bool) -> None:
    """Take Twilio's requests into Kafka, in a process of its own."""
    from ringwatch.gateway import serve_gateway

    log_to_stderr()
    run(serve_gateway, settings_of(config, data=data, http=http), insecure=insecure)


@click.command()
@common
@http_option
@click.option("--partitions-report", is_flag=True, help="Say who works off which partition and how far, and stop.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def worker(data: Path | None, config: Path | None, http: str | None, partitions_report: bool, as_json: bool) -> None:
    """Run the agents on Kafka; start as many as there is work for."""
    settings = settings_of(config, data=data, http=http)
    if partitions_report:
        from ringwatch.partitions import report_partitions

        run(report_partitions, settings, as_json=as_json)
        return
    if as_json:
        raise Refused("--json: goes with --partitions-report; add it, or leave --json out")
    from ringwatch.worker import serve_worker

    log_to_stderr()
    run(serve_worker, settings)


@click.command()
@common
@http_option
def history(data: Path | None, config: Path | None, http: str | None) -> None:
    """Write the history from Kafka and answer SQL, in a process of its own."""
    from ringwatch.history import serve_history

    log_to_stderr()
    run(serve_history, settings_of(config, data=data, http=http))


@click.command()
@common
@http_option
def feed(data: Path | None, config: Path | None, http: str | None) -> None:
    """Serve alerts, suppressions and windows from Kafka, in a process of its own."""
    from ringwatch.feed import serve_feed

    log_to_stderr()
    run(serve_feed, settings_of(config, data=data, http=http))


@click.command()
@common
@http_option
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulated traffic.")
def demo(data: Path | None, config: Path | None, http: str | None, seed: int) -> None:
    """Show the main job on simulated traffic; DEMO_SECONDS=60 in the environment ends it by itself."""
    from ringwatch.demo import run_demo

    run(run_demo, config, data=data, http=http, seed=seed)
