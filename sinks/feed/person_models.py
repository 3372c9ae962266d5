"""The shapes of what people say: overrides, silences and acknowledgements, as the OpenAPI document states them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from schemas.alert import SubjectKind
from sinks.feed.models import Moment, OverrideModel

Author = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=256),
    Field(description="Who says so.", examples=["ada@example.com"]),
]
Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_024), Field(description="Why.")
]
End = Annotated[str | None, Field(description="When it ends, ISO 8601 with an offset or a Z.")]
# A year; whoever means for good says so by leaving the end out where that is possible.
Hours = Annotated[float | None, Field(gt=0, le=8_784, description="Or after how many hours.")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OverrideRequest(_Request):
    """A person's word on a number or contact; without an end it holds until somebody ends it."""

    allow: Annotated[bool, Field(description="True frees it whatever the rules say; false suppresses it.")]
    author: Author
    reason: Words
    until: End = None
    hours: Hours = None


class SubjectOverride(OverrideModel):
    """A person's word that holds, and on what."""

    kind: SubjectKind
    value: str


class OverrideList(BaseModel):
    """The words of people that hold, by kind and value."""

    items: list[SubjectOverride]


class MatchersModel(_Request):
    """Which alerts a silence is for: those of which every label that is given is equal."""

    rule: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    kind: SubjectKind | None = None
    value: Annotated[str | None, Field(min_length=1, max_length=256, description="The subject; goes with kind.")] = None
    campaign: Annotated[str | None, Field(min_length=1, max_length=256)] = None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.rule is None and self.kind is None and self.campaign is None:
            raise ValueError("give at least one of rule, kind with value, and campaign")
        if (self.kind is None) != (self.value is None):
            raise ValueError("kind and value go together, e.g. number and +12025550123")
        return self


class SilenceRequest(_Request):
    """Keep alerts from being told for some time."""

    matchers: MatchersModel
    author: Author
    comment: Words
    starts_at: Annotated[str | None, Field(description="From when on, ISO 8601; by default now.")] = None
    ends_at: End = None
    hours: Hours = None


class AcknowledgementRequest(_Request):
    """Somebody looks after an alert."""

    author: Author
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_024)] = ""


class ShownMatchers(BaseModel):
    """Which alerts a silence is for; `alert_id` makes it an acknowledgement."""

    rule: str | None = None
    kind: SubjectKind | None = None
    value: str | None = None
    campaign: str | None = None
    alert_id: str | None = None


class SilenceModel(BaseModel):
    """A silence as it stands."""

    silence_id: str
    state: Literal["pending", "active", "expired"]
    matchers: ShownMatchers
    starts_at: Moment
    ends_at: Annotated[Moment | None, Field(description="Null of an acknowledgement: it ends with its alert.")]
    author: str
    comment: str
    created_at: Moment
    ended_by: Annotated[str | None, Field(description="Who ended it before its time.")]


class SilenceList(BaseModel):
    """Silences, the latest first."""

    items: list[SilenceModel]
