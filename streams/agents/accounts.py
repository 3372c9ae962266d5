"""The stage of accounts: attempts of `accounts`, keyed by AccountSid."""

from __future__ import annotations

from collections.abc import MutableMapping

from schemas.alert import SubjectKind
from schemas.settings import Settings
from schemas.topics import ACCOUNTS
from streams.agents.choices import OF_ACCOUNTS
from streams.agents.subject import SubjectStage


def accounts_stage(settings: Settings, data: MutableMapping[bytes, bytes]) -> SubjectStage:
    """Count the attempts of accounts, watch their volume, and whether all callbacks come."""
    return SubjectStage("accounts", ACCOUNTS, SubjectKind.ACCOUNT, settings, data, OF_ACCOUNTS)
