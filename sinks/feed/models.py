"""The shapes of the API's answers and requests, as its OpenAPI document states them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.alert import Alert, AlertState, Severity, SubjectKind
from schemas.suppression import Suppression
from schemas.times import to_iso
from sinks.feed.alerts import HeldAlert
from sinks.feed.rolling import SubjectView

Moment = Annotated[str, Field(description="ISO 8601 in UTC.", examples=["2026-11-23T14:00:01.250Z"])]
Next = Annotated[str | None, Field(description="What to give as `after` for the next page; null if this is the last.")]
EvidenceModel = Annotated[dict[str, JsonValue], Field(description="Counts, baseline, interval, source, what to do.")]


Marks = dict[str, object]
"""`acknowledged_by` and `silenced_by` of an alert."""


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str


class SubjectModel(BaseModel):
    """What an alert is about."""

    kind: SubjectKind
    value: str


class AlertModel(BaseModel):
    """An alert's current transition."""

    alert_id: str
    rule: str
    subject: SubjectModel
    state: AlertState
    severity: Severity
    at: Moment
    since: Moment
    evidence: EvidenceModel
    message: str
    acknowledged_by: Annotated[str | None, Field(description="Who looks after it; null if nobody said so.")] = None
    silenced_by: Annotated[
        list[str] | None, Field(description="Ids of the silences that keep it from being told; null if not known.")
    ] = None


class TransitionModel(BaseModel):
    """One step of an alert's life."""

    sequence: int
    state: AlertState
    severity: Severity
    at: Moment


class AlertDetail(AlertModel):
    """An alert's current transition, and how it came there."""

    transitions: Annotated[list[TransitionModel], Field(description="In order of sequence.")]


class AlertPage(BaseModel):
    """Alerts, newest transition first."""

    items: list[AlertModel]
    next: Next


class SuppressionModel(BaseModel):
    """A suppression that holds."""

    kind: SubjectKind
    value: str
    rule: str
    alert_id: str
    at: Moment
    until: Moment | None
    reason: str
    evidence: EvidenceModel


class SuppressionPage(BaseModel):
    """Suppressions in order of kind and value, one of each; of several the one that holds longest."""

    items: list[SuppressionModel]
    next: Next


class OverrideModel(BaseModel):
    """A person's word that holds."""

    allow: bool
    author: str | None
    reason: str
    at: Moment
    until: Annotated[Moment | None, Field(description="When it ends by itself; null if never.")]


class Verdict(BaseModel):
    """Whether a number or contact is suppressed now.

    The fields past `value` tell what the rules say, which counts unless a person's word overrides it; null if nothing.
    """

    suppressed: bool
    kind: SubjectKind
    value: Annotated[str, Field(description="The value that was looked for, as it is written in the log.")]
    rule: str | None = None
    alert_id: str | None = None
    at: Moment | None = None
    until: Annotated[Moment | None, Field(description="When it ends by itself; null if never.")] = None
    reason: str | None = None
    evidence: dict[str, JsonValue] | None = None
    overridden_by: Annotated[OverrideModel | None, Field(description="A person's word, which wins.")] = None


WindowName = Literal["5m", "1h", "24h", "7d"]
Window = Annotated[
    dict[str, int | float | None],
    Field(
        description="Counts, and asr and ner (0 to 1), acd and mean_ring (seconds); null where there are not enough "
        "calls to say."
    ),
]
RuleView = Annotated[
    dict[str, JsonValue],
    Field(description="state: learning, ok, firing, inhibited or off; baseline: null while there is none."),
]


class RollingModel(BaseModel):
    """The rolling windows of a number or campaign, and how the rules see it."""

    value: str
    campaigns: list[str]
    as_of: Annotated[Moment, Field(description="Event time up to which the windows reach.")]
    windows: dict[WindowName, Window]
    rules: dict[str, RuleView]


class RollingPage(BaseModel):
    """Numbers or campaigns in ascending order."""

    items: list[RollingModel]
    next: Next


class OptOutRequest(BaseModel):
    """A person asked not to be called again."""

    model_config = ConfigDict(extra="forbid")

    contact: Annotated[
        str,
        Field(pattern=r"^\+[1-9][0-9]{6,14}$", description="The person's number as E.164.", examples=["+12025550123"]),
    ]
    source: Literal["disposition", "api"] = "api"
    campaign: Annotated[str | None, Field(pattern=r"^[\w.\-]{1,100}$")] = None
    said: Annotated[str, Field(max_length=1_024, description="What was said or noted, as it came.")] = ""


class OptOutAccepted(BaseModel):
    """The opt-out is on disk."""

    accepted: Literal[True]
    contact: str
    at: Moment


class ListImported(BaseModel):
    """The people of a do-not-call list, or those who are on it no longer, are on disk."""

    accepted: Literal[True]
    list: str
    date: Annotated[
        str, Field(description="The day from which the list holds, or they are off it.", examples=["2026-11-23"])
    ]
    contacts: Annotated[int, Field(description="How many people, each counted once.")]


class Health(BaseModel):
    """The service runs."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether the service can do its work, and each check in words."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]


def alert_model(alert: Alert, marks: Marks | None = None) -> AlertModel:
    """An alert as the API shows it, with what people said of it; None if that is not known."""
    return AlertModel.model_validate(alert.as_public() | (marks or {}))


def alert_detail(held: HeldAlert, marks: Marks | None = None) -> AlertDetail:
    """An alert as the API shows it, with its transitions."""
    steps = [
        {"sequence": sequence, "state": step.state, "severity": step.severity, "at": to_iso(step.at)}
        for sequence, step in sorted(held.transitions.items())
    ]
    return AlertDetail.model_validate(held.current.as_public() | (marks or {}) | {"transitions": steps})


def suppression_model(suppression: Suppression) -> SuppressionModel:
    """A suppression as the API shows it."""
    return SuppressionModel.model_validate(suppression.as_public())


def rolling_model(view: SubjectView) -> RollingModel:
    """A number or campaign as the API shows it."""
    return RollingModel.model_validate(
        {
            "value": view.value,
            "campaigns": list(view.campaigns),
            "as_of": to_iso(view.as_of),
            "windows": view.windows,
            "rules": view.rules,
        }
    )
