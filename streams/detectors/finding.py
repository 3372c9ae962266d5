"""What a detector can say."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from schemas.alert import Alert, Subject
from schemas.suppression import Suppression


class Lifted(msgspec.Struct, frozen=True):
    """A suppression no longer holds; those of other rules and scopes do.

    Attributes:
        subject: the number or contact that it was about.
        rule: the rule that asked for it.
        scope: the suppression's own.
    """

    subject: Subject
    rule: str
    scope: str = ""


Finding: TypeAlias = Alert | Suppression | Lifted

NOTHING: list[Finding] = []
"""What most updates find. One shared empty list; callers read it and never change it."""
