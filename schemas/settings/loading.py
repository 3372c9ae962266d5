"""Reading the settings, and saying which of them can't be used."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict, SettingsError

from schemas.settings.errors import ConfigurationError
from schemas.settings.model import Settings

DEFAULT_CONFIG = Path("ringwatch.toml")


def load_settings(config: Path | None = None, **overrides: object) -> Settings:
    """Read the settings, the command line's overrides on top.

    Args:
        config: the TOML file; without one, `ringwatch.toml` where it exists.
        overrides: values by setting name; None means not given.

    Raises:
        ConfigurationError: a file or value that can't be used; the text names the key.
    """
    if config is not None and not config.is_file():
        raise ConfigurationError(f"{config}: no such file; name an existing file with --config")
    source = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=source)

    _refuse_unknown_variables()
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        settings = _FromFile(**given)  # type: ignore[arg-type]  # pydantic checks each value
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from error
    except (SettingsError, ValueError) as error:
        raise ConfigurationError(_explain_source(error, source)) from error
    return settings


# Variables of the test suite and the demo, which are not settings of the program.
_NOT_SETTINGS = ("RINGWATCH_TEST_",)


def _refuse_unknown_variables() -> None:
    known = {f"RINGWATCH_{name}".upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.startswith("RINGWATCH_") or variable.startswith(_NOT_SETTINGS):
            continue
        if variable.split("__", 1)[0].upper() not in known:
            raise ConfigurationError(f"{variable}: no such setting; docs/settings.md lists them all")


# What somebody wrote there is a secret, also where it is of the wrong kind.
_SECRETS = frozenset(
    {"accounts", "shared_keys", "api_token", "key_password", "sasl_password", "webhooks", "auth_token", "api_secret"}
)


def _explain(error: ValidationError) -> str:
    # A default that is made from another setting can't be made where that one is wrong; it has its own line.
    problems = (problem for problem in error.errors() if problem["type"] != "default_factory_not_called")
    return "\n".join(_explain_one(problem) for problem in problems)


def _explain_one(problem: ErrorDetails) -> str:
    where = [part for part in map(str, problem["loc"]) if not part.startswith(("lax-or-strict", "function-"))]
    key = ".".join(where) or "settings"
    if problem["type"] == "extra_forbidden":
        return f"{key}: no such setting; docs/settings.md lists them all"
    given = problem["input"]
    hint = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing" or isinstance(given, dict) or not _SECRETS.isdisjoint(where):
        return f"{key}: {hint}"
    return f"{key}: {hint} (got {given!r})"


def _explain_source(error: Exception, source: Path | None) -> str:
    """Name the variable that is no JSON, or the file that is no TOML."""
    field = re.search(r'field "(\w+)" from source "EnvSettingsSource"', str(error))
    if field is not None:
        return f"RINGWATCH_{field[1].upper()}: write JSON, e.g. {_EXAMPLES.get(field[1], '[…] or {…}')}"
    return f"{source or 'environment'}: {error}"


_EXAMPLES = {
    "accounts": '{"AC…": "auth token"}',
    "shared_keys": '{"key id": "secret"}',
    "trusted_proxies": '["10.0.0.0/8"]',
}
