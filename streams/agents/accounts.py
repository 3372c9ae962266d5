"""The stage of accounts: attempts of `accounts`, keyed by AccountSid."""

from __future__ import annotations

from collections.abc import MutableMapping

from schemas.alert import SubjectKind
from schemas.settings import Settings
from schemas.topics import ACCOUNTS
from streams.agents.subject import SubjectStage


def accounts_stage(settings: Settings, data: MutableMapping[bytes, bytes]) -> SubjectStage:
    """Count the attempts of accounts and watch their volume."""
    return SubjectStage("accounts", ACCOUNTS, SubjectKind.ACCOUNT, settings, data)
