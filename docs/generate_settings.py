"""Write docs/settings.md and the tables of defaults on the rules' pages from the settings themselves.

Run it after a setting changes: `.venv/bin/python docs/generate_settings.py`. A test compares what it would write with
what is there.
"""  # noqa: INP001 - a script beside the pages it writes, imported by nobody

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from schemas.settings import Settings

DOCS = Path(__file__).resolve().parent

# What every rule has; its meaning is one, whatever the rule.
_OF_EVERY_RULE = {
    "enabled": "Whether the rule runs.",
    "severity": "Severity of its alerts: info, warning or critical.",
}

_HEAD = """\
# Settings

ringwatch reads settings from three places; the first that has a value wins:

1. options of the command line (`--data`, `--http`);
2. environment variables: `RINGWATCH_` and the key in capitals, two underscores for each dot;
3. a TOML file: the one named by `--config`, else `ringwatch.toml` in the working directory if it is there.

Everything is checked at start. A wrong value, an unknown key and an unknown `RINGWATCH_` variable are refused with
exit code 2 and a line that names the key. `ringwatch check` says what is set and what is missing.

Lists and tables are written as JSON in an environment variable:

```sh
export RINGWATCH_ACCOUNTS='{"AC0123456789abcdef0123456789abcdef": "the auth token"}'
export RINGWATCH_PUBLIC_URL=https://hooks.example.com
export RINGWATCH_RULES__VOLUME_SPIKE__NUMBER_LIMIT=60
```

The same in `ringwatch.toml`:

```toml
public_url = "https://hooks.example.com"

[accounts]
AC0123456789abcdef0123456789abcdef = "the auth token"

[rules.volume_spike]
number_limit = 60

[rules.volume_spike.campaigns.renewals]
number_limit = 40
```

Keys and tokens belong in the environment rather than in a file that many can read. `limits` set a bound for what a
request may hold; the defaults are far above what Twilio sends.

A rule's settings can differ for a campaign: `rules.RULE.campaigns` is a table from the campaign's name to the settings
that differ, as above. Which of them a rule looks at per campaign is on its page.

How to point ringwatch at Apache Kafka, with TLS and passwords, is on a page of its own: [Apache Kafka](kafka.md).

This page is written by `docs/generate_settings.py`; a test holds it to the code.
"""

_TAIL = """\
## The register of numbers

`register_file`, `campaigns_file` and `contacts_file` name the files of the [register](register.md): what the company
knows of its numbers, campaigns and contacts. They are read again when they change.

```
number,campaign,purpose,since,cnam,trust_hub,time_zone
+14155550123,spring-sale,telemarketing,2026-11-01,ACME,twilio-approved,America/New_York
```

## Variables that are no settings

| variable | meaning |
|---|---|
| `DEMO_SECONDS` | Bounds `ringwatch demo`, in seconds; without it the demo keeps running. |
"""

_TITLES = {
    "": "General",
    "limits": "Limits of a request",
    "gather": "Opt-outs on a call",
    "messaging": "Opt-outs by message",
    "assembly": "From callbacks to calls",
    "history": "History",
    "kafka": "Apache Kafka",
    "twilio": "Twilio's account",
    "alerts": "Telling people of alerts",
}


class Row(NamedTuple):
    """One setting: its key with dots, its environment variable, its default as TOML writes it, its meaning."""

    key: str
    variable: str
    default: str
    meaning: str


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Every setting of a model, in order, those of its sections after its own."""
    sections = []
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            sections.append((annotation, f"{key}."))
            continue
        # One default is made from another setting; without that one it is what it is without any.
        default = field.get_default(call_default_factory=True, validated_data={})
        meaning = (field.description or _OF_EVERY_RULE[name]).replace("<", "&lt;")
        yield Row(key, f"RINGWATCH_{key.replace('.', '__').upper()}", written(default), meaning)
    for section, path in sections:
        yield from rows(section, path)


def written(default: Any) -> str:
    """A default as TOML would have it; `unset` where there is none."""
    if default is None or default is PydanticUndefined:
        return "unset"
    if isinstance(default, SecretStr):
        return "secret"
    return json.dumps(default if isinstance(default, bool | int | float | str | list | dict) else str(default))


def table(found: list[Row], *, short: bool = False) -> str:
    """Rows as a Markdown table; `short` leaves out the variable and the key's path."""
    if short:
        lines = ["| setting | default | meaning |", "|---|---|---|"]
        lines += [f"| `{row.key.rpartition('.')[2]}` | `{row.default}` | {row.meaning} |" for row in found]
    else:
        lines = ["| key | environment variable | default | meaning |", "|---|---|---|---|"]
        lines += [f"| `{row.key}` | `{row.variable}` | `{row.default}` | {row.meaning} |" for row in found]
    return "\n".join(lines)


def settings_page() -> str:
    """The whole of docs/settings.md."""
    sections: dict[str, list[Row]] = {}
    for row in rows(Settings):
        sections.setdefault(row.key.rpartition(".")[0], []).append(row)
    parts = [_HEAD]
    for section, found in sections.items():
        rule = section.removeprefix("rules.")
        title = f"Rule [{rule}](rules/{rule}.md)" if section.startswith("rules.") else _TITLES[section]
        parts.append(f"## {title}\n\n{table(found)}\n")
    parts.append(_TAIL)
    return "\n".join(parts)


_DEFAULTS = re.compile(r"(?<=<!-- defaults -->\n)(.*?)(?=<!-- /defaults -->)", re.DOTALL)


def rule_page(rule: str, text: str) -> str:
    """A rule's page with its table of defaults as the code has them."""
    found = [row for row in rows(Settings) if row.key.startswith(f"rules.{rule}.")]
    return _DEFAULTS.sub(lambda _: f"\n{table(found, short=True)}\n\n", text)


def main() -> None:
    """Write the pages."""
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    for page in sorted((DOCS / "rules").glob("*.md")):
        page.write_text(rule_page(page.stem, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
