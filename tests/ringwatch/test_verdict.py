from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringwatch.cli import cli
from ringwatch.verdict import judge
from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind, alert_id
from schemas.times import DAY, HOUR, MINUTE
from streams.ingest.simulator import Companion, Incident, Truth

ONSET = 1_795_442_400_000
NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
CAMPAIGN = Subject(SubjectKind.CAMPAIGN, "spring-sale")
COLLAPSE = "answer_rate_collapse"


def truth(*incidents: Incident, false_alarms: int = 0) -> Truth:
    """A truth with some incidents."""
    return Truth(
        scenario="made",
        seed=1,
        starts_at=ONSET - DAY,
        ends_at=ONSET + DAY,
        incidents=incidents,
        calls=0,
        callbacks=0,
        duplicates=0,
        lost=0,
        false_alarms=false_alarms,
    )


def incident(*also: Companion) -> Incident:
    """A number's collapse, with an hour of tolerance."""
    return Incident(
        rule=COLLAPSE,
        subject=NUMBER,
        onset=ONSET,
        end=None,
        note="answers fall",
        tolerance=HOUR,
        also=also,
        touches=(CAMPAIGN.value,),
    )


def alert(
    rule: str = COLLAPSE,
    subject: Subject = NUMBER,
    *,
    after: int = HOUR,
    since: int = 0,
    run: int = 1,
    state: AlertState = AlertState.FIRING,
) -> Alert:
    """A transition, with its times counted from the onset."""
    return Alert(
        alert_id=alert_id(rule, subject, run),
        sequence=1,
        rule=rule,
        subject=subject,
        state=state,
        severity=Severity.WARNING,
        at=ONSET + after,
        since=ONSET + since,
        evidence={},
        message="something is wrong",
    )


def words(told: Truth, *alerts: Alert) -> tuple[bool, list[str]]:
    """Whether all is right, and the first word of each line."""
    verdict = judge(told, alerts)
    return verdict.is_right, [line.split("  ")[0] for line in list(verdict.told())[:-1]]


def test_found_once_with_the_right_onset_is_right() -> None:
    """One alert of the rule on the subject is a find, and its resolution is no second one."""
    alerts = (alert(), alert(state=AlertState.RESOLVED, after=2 * HOUR))
    assert words(truth(incident()), *alerts) == (True, ["found"])


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ((), ["missed"]),
        ((alert(state=AlertState.INHIBITED),), ["missed"]),
        ((alert(), alert(run=2, after=3 * HOUR)), ["repeated"]),
        ((alert(since=-2 * HOUR),), ["off"]),
        ((alert(after=-HOUR),), ["missed", "extra"]),
        ((alert(subject=CAMPAIGN),), ["missed", "extra"]),
        ((alert("short_calls"),), ["missed", "extra"]),
        ((alert(), alert("short_calls")), ["found", "extra"]),
    ],
)
def test_all_else_is_wrong(alerts: tuple[Alert, ...], said: list[str]) -> None:
    """An incident missed, told twice or dated wrongly is wrong, and so is an alert that nothing explains."""
    is_right, told = words(truth(incident()), *alerts)
    assert (is_right, [word.strip() for word in told]) == (False, said)


def test_companions_may_come_with_an_incident() -> None:
    """An alert that an incident names comes with it: on what it touches, from its onset on, and only so many."""
    told = truth(incident(Companion(COLLAPSE, SubjectKind.CAMPAIGN, most=1)))
    wider = alert(subject=CAMPAIGN)
    assert words(told, alert(), wider) == (True, ["found", "with it"])
    for other in (
        alert(subject=CAMPAIGN, after=-HOUR),
        alert("short_calls", CAMPAIGN),
        alert(subject=Subject(SubjectKind.CAMPAIGN, "renewals")),
    ):
        assert words(told, alert(), other) == (False, ["found", "extra"])
    again = alert(subject=CAMPAIGN, run=2, after=HOUR + MINUTE)
    assert words(told, alert(), wider, again) == (False, ["found", "with it", "extra"])


def test_chance_may_raise_what_settings_promise() -> None:
    """As many extra alerts as the truth allows are right, and one more is wrong."""
    extra = [alert("short_calls", run=run) for run in (1, 2)]
    assert judge(truth(false_alarms=2), extra).is_right
    assert not judge(truth(false_alarms=1), extra).is_right


class TestReplay:
    def test_the_truth_decides_the_exit_code(self, tmp_path: Path) -> None:
        """A replay ends with 0 if all was found and with 1 if not, and says which on standard error."""
        run = CliRunner()
        lines, told = str(tmp_path / "lines"), tmp_path / "truth.json"
        register = tmp_path / "register.toml"
        written = run.invoke(
            cli,
            ["simulate", "--scenario", "opt-out", "--out", lines, "--truth", str(told), "--register", str(register)],
        )
        assert written.exit_code == 0, written.output
        environment = {"RINGWATCH_REGISTER_FILE": str(register)}
        right = run.invoke(cli, ["replay", lines, "--truth", str(told)], env=environment)
        assert (right.exit_code, "4 of 4 incidents found once" in right.stderr) == (0, True), right.stderr
        public = json.loads(told.read_bytes())
        public["incidents"][0]["subject"]["value"] = "+12125559999"
        told.write_text(json.dumps(public))
        wrong = run.invoke(cli, ["replay", lines, "--truth", str(told)], env=environment)
        assert wrong.exit_code == 1
        assert "missed    opt_out  contact +12125559999" in wrong.stderr
        assert "3 of 4 incidents found once, 0 alerts that come with them, 1 extra" in wrong.stderr

    @pytest.mark.parametrize("text", [None, "", "{}", '{"scenario": 1}'])
    def test_a_truth_that_is_none_is_refused(self, tmp_path: Path, text: str | None) -> None:
        """A file that is not there, or is no truth, ends with 2 and a line that says what to name."""
        if text is not None:
            (tmp_path / "truth.json").write_text(text)
        said = CliRunner().invoke(cli, ["replay", "-", "--truth", str(tmp_path / "truth.json")], input="")
        assert said.exit_code == 2
        assert "name a file that simulate" in said.stderr
