"""The command `check`: what is configured, and what is missing."""

from __future__ import annotations

import os
import shutil
from enum import StrEnum

import click
import msgspec

from ringwatch.register import read_register
from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError, Settings
from sinks.history.ask import find_running
from sinks.history.errors import HistoryError, HistoryMissingError
from sinks.history.store import History
from streams.agents.app import CHANGELOGS
from streams.transports.kafka.topics import check_topics
from streams.transports.local.errors import LogError, LogInUseError
from streams.transports.local.log import LocalLog

# Below this, a busy day of callbacks may not fit.
_LEAST_FREE_BYTES = 1 << 30


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    MISSING = "missing"
    ERROR = "error"


class CheckFinding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        level: `missing` keeps something from working as it could; `error` keeps ringwatch from starting.
        about: the setting or part.
        text: what was found, and what to do about it.
    """

    level: Level
    about: str
    text: str


def run_check(settings: Settings, *, as_json: bool) -> int:
    """Print the findings.

    Returns:
        1 if something keeps ringwatch from starting, else 0.
    """
    findings = look(settings)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.level.value:8} {finding.about:14} {finding.text}")
    return 1 if any(finding.level is Level.ERROR for finding in findings) else 0


def look(settings: Settings) -> list[CheckFinding]:
    """Look at settings, register and data folder; nothing is changed but an empty folder may be made."""
    findings = [*_look_at_gateway(settings), _look_at_register(settings), _look_at_api(settings)]
    if settings.on_kafka:
        findings.append(_look_at_kafka(settings))
    return [*findings, *_look_at_data(settings)]


def _look_at_gateway(settings: Settings) -> list[CheckFinding]:
    findings = []
    if settings.accounts or settings.shared_keys:
        names = ", ".join([*settings.accounts, *settings.shared_keys])
        findings.append(CheckFinding(Level.OK, "accounts", f"signatures are checked for {names}"))
    else:
        findings.append(
            CheckFinding(
                Level.MISSING,
                "accounts",
                'no auth token: every callback gets 403; set RINGWATCH_ACCOUNTS=\'{"AC…": "auth token"}\'',
            )
        )
    if settings.public_url:
        findings.append(
            CheckFinding(
                Level.OK,
                "public_url",
                f"give Twilio {settings.public_url}/twilio/voice/CAMPAIGN#rc=5&rp=all as the status callback",
            )
        )
    elif settings.trusted_proxies:
        findings.append(CheckFinding(Level.OK, "public_url", "taken from the headers of the trusted proxies"))
    else:
        findings.append(
            CheckFinding(
                Level.MISSING,
                "public_url",
                "signatures are checked against the request's own Host; behind a proxy set RINGWATCH_PUBLIC_URL",
            )
        )
    return findings


def _look_at_register(settings: Settings) -> CheckFinding:
    if settings.register_file is None and settings.campaigns_file is None and settings.contacts_file is None:
        return CheckFinding(
            Level.MISSING, "register_file", "no register: campaigns come from the callback URL's path alone"
        )
    try:
        register = read_register(settings)
    except ConfigurationError as error:
        return CheckFinding(Level.ERROR, "register_file", str(error))
    found = f"{len(register.numbers)} numbers, {len(register.campaigns)} campaigns, {len(register.contacts)} contacts"
    return CheckFinding(Level.OK, "register_file", found)


def _look_at_api(settings: Settings) -> CheckFinding:
    if settings.api_token is not None:
        return CheckFinding(Level.OK, "api_token", "/v1 and /metrics ask for it")
    if settings.public_url or settings.trusted_proxies:
        return CheckFinding(
            Level.MISSING,
            "api_token",
            "there is a proxy, so /v1 and /metrics answer ringwatch's own commands only; set RINGWATCH_API_TOKEN",
        )
    where = "" if settings.on_loopback else f", though {settings.http} can be reached from outside"
    return CheckFinding(
        Level.MISSING, "api_token", f"/v1 and /metrics answer this machine only{where}; set RINGWATCH_API_TOKEN"
    )


def _look_at_kafka(settings: Settings) -> CheckFinding:
    try:
        check_topics(settings, CHANGELOGS)
    except (ConfigurationError, LogUnavailableError) as error:
        return CheckFinding(Level.ERROR, "broker", str(error))
    return CheckFinding(Level.OK, "broker", f"{settings.broker}: all topics are there, as they must be")


def _look_at_data(settings: Settings) -> list[CheckFinding]:
    folder = settings.data
    running = find_running(folder)
    if running is not None:
        note = f"ringwatch runs on it as process {running.pid} ({running.http}); its files are not looked into"
        return [CheckFinding(Level.OK, "data", f"{folder}: {note}")]
    if not folder.exists():
        return [CheckFinding(Level.OK, "data", f"{folder} will be made at the first start")]
    if not os.access(folder, os.W_OK):
        return [CheckFinding(Level.ERROR, "data", f"{folder} can't be written; change its owner or name another")]
    findings = [_look_at_history(settings)]
    if not settings.on_kafka:
        findings.insert(0, _look_at_log(settings))
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        findings.append(CheckFinding(Level.MISSING, "data", f"only {free >> 20} MiB are free in {folder}"))
    return findings


def _look_at_log(settings: Settings) -> CheckFinding:
    if not settings.log_path.exists():
        return CheckFinding(Level.OK, "log", f"{settings.log_path} will be made at the first start")
    try:
        log = LocalLog.open(settings.log_path)
    except LogInUseError as error:
        return CheckFinding(Level.OK, "log", str(error))
    except (LogError, LogUnavailableError) as error:
        return CheckFinding(Level.ERROR, "log", str(error))
    try:
        wrong = {name: count for name, count in log.topics().items() if count != settings.partitions}
        total = sum(log.end(topic, part) for topic, count in log.topics().items() for part in range(count))
    finally:
        log.close()
    if wrong:
        have = next(iter(wrong.values()))
        return CheckFinding(
            Level.ERROR, "partitions", f"the log has {have}, the settings say {settings.partitions}; set {have} again"
        )
    return CheckFinding(Level.OK, "log", f"{settings.log_path}: {total} records written so far")


def _look_at_history(settings: Settings) -> CheckFinding:
    try:
        history = History.open(settings.history_path, read_only=True)
    except HistoryMissingError:
        return CheckFinding(Level.OK, "history", f"{settings.history_path} will be made at the first start")
    except HistoryError as error:
        return CheckFinding(Level.ERROR, "history", str(error))
    try:
        [row] = history.query("select count(*) as calls from calls").to_pylist()
    finally:
        history.close()
    return CheckFinding(Level.OK, "history", f"{settings.history_path}: {row['calls']} calls")
