"""The commands `alerts …` and `suppress` against a ringwatch that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from click.testing import CliRunner, Result

from ringwatch.cli import cli
from ringwatch.durations import hours_of
from ringwatch.up import Up, running
from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind
from schemas.log import NewRecord
from schemas.settings import ConfigurationError, Settings
from schemas.topics import ALERTS
from sinks.alerts.keeping import STATE_FILE

_PATIENCE_SECONDS = 60.0
ALERT = Alert(
    alert_id="0af11c8180aa4f34",
    sequence=1,
    rule="short_calls",
    subject=Subject(SubjectKind.NUMBER, "+12025550100"),
    state=AlertState.FIRING,
    severity=Severity.WARNING,
    at=1_795_442_400_000,
    since=1_795_442_400_000,
    evidence={"campaign": "spring-sale"},
    message="Number +12025550100 has too many short calls.",
)


@asynccontextmanager
async def _up(settings: Settings) -> AsyncIterator[Up]:
    async with running(settings, ticks=False) as up:
        await up.log.append([NewRecord(ALERTS.name, ALERT.alert_id.encode(), ALERT.encode())])
        assert settings.api_token is not None
        bearer = {"Authorization": f"Bearer {settings.api_token.get_secret_value()}"}
        async with httpx.AsyncClient(base_url=up.address, headers=bearer, trust_env=False) as client:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while (await client.get(f"/v1/alerts/{ALERT.alert_id}")).status_code != httpx.codes.OK:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.02)
                while (await client.get("/readyz")).status_code != httpx.codes.OK:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
        yield up


async def _command(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, list(words))


async def _until(word: str, *words: str) -> str:
    """Run a command until its output has a word: what was said holds within a second."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            done = await _command(*words)
            assert done.exit_code == 0, done.output
            if word in done.stdout:
                return done.stdout
            await asyncio.sleep(0.05)


def test_alerts_are_listed_silenced_and_acknowledged(settings: Settings) -> None:
    """What a person says to the running program is shown by it, ended by name, and kept for the next start."""
    data = ("--data", str(settings.data))

    async def run() -> None:
        async with _up(settings):
            assert "short_calls" in await _until(ALERT.message, "alerts", "list", *data)
            words = ["--rule", "short_calls", "--subject", "number:+12025550100", "--campaign", "spring-sale"]
            words += ["--for", "2h", "--author", "ada", "--comment", "a known launch"]
            silenced = await _command("alerts", "silence", *words, *data)
            assert silenced.exit_code == 0, silenced.output
            silence_id = silenced.stdout.strip()
            assert "a known launch" in await _until(silence_id, "alerts", "silences", *data)
            assert "silenced by" in await _until(silence_id, "alerts", "list", *data)
            ended = await _command("alerts", "unsilence", silence_id, "--author", "bob", *data)
            assert ended.exit_code == 0, ended.output
            assert "ended by bob" in await _until("expired", "alerts", "silences", "--all", *data)
            acked = await _command("alerts", "ack", ALERT.alert_id, "--author", "ada", *data)
            assert acked.exit_code == 0, acked.output
        async with _up(settings) as up:
            listed = json.loads(await _until('"acknowledged_by": "ada"', "alerts", "list", "--json", *data))
            assert [one["alert_id"] for one in listed] == [ALERT.alert_id]
            token = settings.api_token.get_secret_value() if settings.api_token else ""
            there = ("--url", up.address, "--token", token)
            assert "until it resolves" in await _until("active", "alerts", "silences", *there)
            refused = await _command("alerts", "list", "--url", up.address, "--token", "wrong")
            assert (refused.exit_code, "401" in refused.stderr) == (2, True)

    asyncio.run(run())
    assert (settings.data / STATE_FILE).exists()


def test_a_persons_word_is_said_listed_and_ended(settings: Settings) -> None:
    """A number is suppressed and allowed by a person, with an end or without, until a person ends it."""
    data = ("--data", str(settings.data))
    number = ("number", "+1 (202) 555-0100")

    async def run() -> None:
        async with _up(settings):
            words = ("--reason", "labelled as spam", "--author", "ada")
            said = await _command("suppress", *number, *words, "--for", "24h", *data)
            assert (said.exit_code, "number +12025550100 is suppressed until 2" in said.stdout) == (0, True), (
                said.output
            )
            assert "labelled as spam" in await _until("override", "suppress", "list", *data)
            said = await _command("suppress", "--allow", *number, *words, *data)
            assert (said.exit_code, "is allowed until somebody ends it" in said.stdout) == (0, True), said.output
            assert "override" not in await _until("allowed by ada", "suppress", "list", *data)
            ended = await _command("suppress", "--end", *number, "--author", "bob", *data)
            assert (ended.exit_code, "no longer allowed" in ended.stdout) == (0, True), ended.output
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while (await _command("suppress", "list", *data)).stdout:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)
            again = await _command("suppress", "--end", *number, "--author", "bob", *data)
            assert (again.exit_code, "nobody's word" in again.stderr) == (2, True)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["alerts", "list"], "does not run"),
        (["alerts", "list", "--url", "http://127.0.0.1:9"], "no answer"),
        (["alerts", "silence", "--for", "2h", "--author", "a", "--comment", "c"], "at least one"),
        (["alerts", "silence", "--rule", "r", "--for", "2", "--author", "a", "--comment", "c"], "90m, 2h or 7d"),
        (["alerts", "silence", "--subject", "+1", "--for", "2h", "--author", "a", "--comment", "c"], "number:+1"),
        (["suppress", "number"], "itself is missing"),
        (["suppress", "number", "+12025550100", "--reason", "r"], "--author: missing"),
        (["suppress", "number", "+12025550100", "--author", "a"], "--reason: missing"),
        (["suppress", "number", "+12025550100", "--end", "--allow", "--author", "a"], "--end: goes with"),
        (["suppress", "list", "+12025550100"], "list: goes with"),
    ],
)
def test_what_can_not_be_done_is_said(words: list[str], says: str) -> None:
    """A command that lacks something, or finds nobody to ask, ends with 2 and a line that says what to do."""
    done = CliRunner().invoke(cli, words)
    assert (done.exit_code, says in done.stderr) == (2, True), done.output


def test_lengths_of_time_are_read() -> None:
    """Minutes, hours and days are lengths; nothing else is, nor is none at all."""
    assert (hours_of("30m"), hours_of("1.5h"), hours_of("2d")) == (0.5, 1.5, 48.0)
    for text in ("", "2", "h", "0h", "-1h", "2 weeks"):
        with pytest.raises(ConfigurationError, match="--for"):
            hours_of(text)
