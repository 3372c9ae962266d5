from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from ringwatch.cli import cli
from schemas.alert import Subject, SubjectKind
from schemas.register import Register
from schemas.settings import Settings
from streams.agents.replay import Replay
from streams.agents.subject import SubjectState
from streams.ingest.replay_lines import read_line
from streams.ingest.simulator import SCENARIOS
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record
from streams.windows import Span


def ask(*arguments: str | Path, given: bytes | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=given)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the lines and the truth of the collapse."""
    folder = tmp_path_factory.mktemp("simulated")
    said = ask("simulate", "--scenario", "collapse", "--out", folder / "a.ndjson", "--truth", folder / "truth.json")
    assert said.exit_code == 0, said.output
    return folder


@pytest.fixture(scope="module")
def replayed(simulated: Path) -> bytes:
    """What the replay of the collapse prints."""
    said = ask("replay", simulated / "a.ndjson", "--json")
    assert said.exit_code == 0, said.output
    return said.stdout_bytes


@pytest.mark.parametrize(
    "command", ["up", "gateway", "worker", "history", "feed", "demo", "replay", "simulate", "sql", "check"]
)
def test_every_command_explains_itself(command: str) -> None:
    """--help names the command's options."""
    said = ask(command, "--help")
    assert said.exit_code == 0
    assert "--" in said.stdout


def test_the_version_is_told() -> None:
    """--version names the installed version."""
    said = ask("--version")
    assert said.exit_code == 0
    assert "0.1.0" in said.stdout


class TestSimulate:
    def test_scenarios_are_listed(self) -> None:
        """--list names every scenario, one a line; --describe adds what each does."""
        assert ask("simulate", "--list").stdout.split() == list(SCENARIOS)
        described = ask("simulate", "--list", "--describe").stdout
        assert all(scenario.description in described for scenario in SCENARIOS.values())

    def test_a_seed_gives_the_same_bytes(self, simulated: Path, tmp_path: Path) -> None:
        """The same scenario and seed write the same lines; another seed writes others."""
        for seed, name in ((1, "same"), (2, "other")):
            ask("simulate", "--scenario", "collapse", "--seed", str(seed), "--out", tmp_path / name)
        assert (tmp_path / "same").read_bytes() == (simulated / "a.ndjson").read_bytes()
        assert (tmp_path / "other").read_bytes() != (simulated / "a.ndjson").read_bytes()

    def test_lines_go_to_standard_output(self) -> None:
        """Without --out the lines are printed, each of them JSON."""
        lines = ask("simulate", "--scenario", "opt-out").stdout.splitlines()
        assert all(json.loads(line)["received_at"] for line in lines)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--scenario", "nothing"), "--scenario: no 'nothing'; name one of clean"),
            (("--ending-at", "noon"), "--ending-at: "),
            (("--out", "/nowhere/at/all"), "name a file that can be written"),
        ],
    )
    def test_what_it_can_not_do_is_said(self, arguments: tuple[str, ...], said: str) -> None:
        """A wrong option ends with 2 and one line that says what to write."""
        answer = ask("simulate", *arguments)
        assert answer.exit_code == 2
        assert said in answer.stderr


class TestReplay:
    def test_the_collapse_is_found_on_its_number(self, simulated: Path, replayed: bytes) -> None:
        """The injected collapse is found on the right number, once, after its onset, with its evidence."""
        [incident] = json.loads((simulated / "truth.json").read_bytes())["incidents"]
        found = [json.loads(line) for line in replayed.splitlines()]
        [alert] = [one for one in found if one["rule"] == "answer_rate_collapse"]
        assert alert["subject"] == incident["subject"]
        assert alert["state"] == "firing"
        assert alert["at"] > incident["onset"]
        assert set(alert) == {
            "alert_id", "rule", "subject", "state", "severity", "at", "since", "evidence", "message",
        }  # fmt: skip
        assert {"calls", "answered", "expected", "source", "what_to_do"} <= set(alert["evidence"])

    def test_a_second_run_gives_the_same_bytes(self, simulated: Path, replayed: bytes) -> None:
        """Replaying the same file twice prints the same bytes."""
        assert ask("replay", simulated / "a.ndjson", "--json").stdout_bytes == replayed

    def test_every_line_twice_gives_the_same_bytes(self, simulated: Path, replayed: bytes, tmp_path: Path) -> None:
        """A file in which every line stands twice prints the same bytes."""
        lines = (simulated / "a.ndjson").read_bytes().splitlines(keepends=True)
        (tmp_path / "twice").write_bytes(b"".join(line * 2 for line in lines))
        assert ask("replay", tmp_path / "twice", "--json").stdout_bytes == replayed

    def test_lines_shuffled_within_the_lateness_give_the_same_windows_and_alerts(
        self, simulated: Path, replayed: bytes
    ) -> None:
        """Lines out of order by up to a minute and a half give the same windows, and alerts of the same subjects."""
        lines = (simulated / "a.ndjson").read_bytes().splitlines()
        random = Random(3)
        shuffled = sorted(lines, key=lambda line: _received(line) + random.uniform(0, 90))
        assert shuffled != lines
        windows, _ = _run(lines)
        others, alerts = _run(shuffled)
        assert others == windows
        assert alerts == {
            (one["rule"], one["subject"]["value"], one["state"]) for one in map(json.loads, replayed.splitlines())
        }

    def test_it_reads_standard_input(self, simulated: Path, replayed: bytes) -> None:
        """- stands for standard input."""
        given = (simulated / "a.ndjson").read_bytes()
        assert ask("replay", "-", "--json", given=given).stdout_bytes == replayed

    def test_people_read_a_line_a_transition(self, simulated: Path) -> None:
        """Without --json each transition is a line with its time, state, rule, subject and message."""
        lines = ask("replay", simulated / "a.ndjson").stdout.splitlines()
        assert len([line for line in lines if "firing    answer_rate_collapse  number +1" in line]) == 1
        assert all(line.startswith("2026-11-") for line in lines)

    def test_bad_lines_are_told_and_passed_over(self, tmp_path: Path) -> None:
        """A line that can't be read is told by file and number; the rest is replayed."""
        good = ask("simulate", "--scenario", "opt-out").stdout
        (tmp_path / "mixed").write_text(f"nonsense\n{good}\n{{}}\n")
        said = ask("replay", tmp_path / "mixed", "--json")
        assert said.exit_code == 0
        assert f"{tmp_path / 'mixed'}:1: " in said.stderr
        assert "(2 unreadable)" in said.stderr
        assert len(said.stdout.splitlines()) == 4

    def test_nothing_to_read_is_an_error(self, tmp_path: Path) -> None:
        """A file in which no line can be read ends with 1; one that is not there with 2."""
        (tmp_path / "bad").write_text("nonsense\n")
        assert ask("replay", tmp_path / "bad").exit_code == 1
        missing = ask("replay", tmp_path / "missing")
        assert missing.exit_code == 2
        assert "name a file of replay lines" in missing.stderr


def _received(line: bytes) -> float:
    return datetime.fromisoformat(json.loads(line)["received_at"]).timestamp()


def _run(lines: list[bytes]) -> tuple[dict[bytes, object], set[tuple[str, str, str]]]:
    """Every number's windows at the same moment, and what was alerted of."""
    settings = Settings()
    terms = Terms.of(settings, Register())
    replay = Replay(settings)
    alerts = replay.alerts(new_record(one) for line in lines for one in read_line(line, terms))
    states = {
        key: SubjectState.from_bytes(
            packed, Subject(SubjectKind.NUMBER, key.decode()), 120_000, settings.rules.volume_spike
        )
        for key, packed in replay.tables["numbers"].items()
    }
    as_of = max(state.counts.watermark or 0 for state in states.values())
    windows = {key: [state.counts.read(span, as_of) for span in Span] for key, state in states.items()}
    return windows, {(alert.rule, alert.subject.value, alert.state.value) for alert in alerts}


class TestCheck:
    def test_what_is_missing_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without accounts, public URL, register and token, each is named with what to set; that is no error."""
        monkeypatch.chdir(tmp_path)
        said = ask("check", "--data", tmp_path / "data")
        assert said.exit_code == 0, said.output
        for name in ("accounts", "public_url", "register_file", "api_token"):
            assert f"missing  {name}" in said.stdout

    def test_a_whole_configuration_is_well(self, tmp_path: Path) -> None:
        """With everything set, all is ok, and the callback URL to give to Twilio is told."""
        (tmp_path / "numbers.csv").write_text("number,campaign\n+12025550100,spring-sale\n")
        (tmp_path / "config.toml").write_text(
            'public_url = "https://hooks.example.com"\napi_token = "secret"\n'
            f'register_file = "{tmp_path / "numbers.csv"}"\n[accounts]\nAC1 = "token"\n'
        )
        said = ask("check", "--config", tmp_path / "config.toml", "--data", tmp_path / "data", "--json")
        assert said.exit_code == 0, said.output
        findings = json.loads(said.stdout)
        assert {finding["level"] for finding in findings} == {"ok"}
        assert any("https://hooks.example.com/twilio/voice/CAMPAIGN#rc=5&rp=all" in f["text"] for f in findings)

    def test_a_bad_register_is_an_error(self, tmp_path: Path) -> None:
        """A register that would keep ringwatch from starting ends with 1 and names file and line."""
        (tmp_path / "numbers.csv").write_text("number,campaign\n12,spring-sale\n")
        (tmp_path / "config.toml").write_text(f'register_file = "{tmp_path / "numbers.csv"}"\n')
        said = ask("check", "--config", tmp_path / "config.toml", "--data", tmp_path / "data")
        assert said.exit_code == 1
        assert f"{tmp_path / 'numbers.csv'}" in said.stdout

    def test_a_damaged_log_is_an_error(self, tmp_path: Path) -> None:
        """A log that is none is named, and stays as it is."""
        (tmp_path / "log").write_bytes(b"no log" * 1_000)
        said = ask("check", "--data", tmp_path)
        assert said.exit_code == 1
        assert "error    log" in said.stdout
        assert (tmp_path / "log").read_bytes() == b"no log" * 1_000

    def test_a_note_left_by_a_killed_run_misleads_nobody(self, tmp_path: Path) -> None:
        """The note of a process that is gone is not taken for a running ringwatch."""
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        (tmp_path / "running.json").write_text(f'{{"pid": {gone.pid}, "http": "http://127.0.0.1:1", "token": ""}}')
        assert "ringwatch runs on it" not in ask("check", "--data", tmp_path).stdout


class TestSql:
    def test_without_a_history_it_says_how_to_get_one(self, tmp_path: Path) -> None:
        """A data folder without a history ends with 2 and names `ringwatch up`."""
        said = ask("sql", "select 1", "--data", tmp_path)
        assert said.exit_code == 2
        assert "ringwatch up" in said.stderr

    def test_settings_that_can_not_be_used_end_with_2(self, tmp_path: Path) -> None:
        """A setting nobody knows is named before anything is done."""
        (tmp_path / "config.toml").write_text("colour = 1\n")
        said = ask("sql", "select 1", "--config", tmp_path / "config.toml")
        assert said.exit_code == 2
        assert "ringwatch: colour: no such setting" in said.stderr
