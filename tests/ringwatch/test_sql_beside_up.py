from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from ringwatch.cli import cli
from schemas.settings import Settings
from streams.ingest.simulator import Line
from streams.ingest.simulator.signing import signer

_QUERY = "select number, count(*) as calls from calls group by 1 order by 1"


def _ask(data: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["sql", _QUERY, "--data", str(data), *options])


def _check_formats(data: Path, folder: Path, expected: dict[str, int]) -> None:
    """Every format tells the same rows."""
    number, calls = next(iter(expected.items()))
    table = _ask(data)
    assert table.exit_code == 0, table.output
    assert number in table.stdout
    rows = json.loads(_ask(data, "--format", "json").stdout)
    assert {row["number"]: row["calls"] for row in rows} == expected
    assert _ask(data, "--json").stdout == _ask(data, "--format", "json").stdout
    lines = list(csv.DictReader(io.StringIO(_ask(data, "--format", "csv").stdout)))
    assert {line["number"]: int(line["calls"]) for line in lines} == expected
    file = folder / "rows.parquet"
    assert _ask(data, "--format", "parquet", "--out", str(file)).exit_code == 0
    assert {row["number"]: row["calls"] for row in pq.read_table(file).to_pylist()} == expected
    assert len(json.loads(_ask(data, "--json", "--limit", "1").stdout)) == 1
    assert calls > 0


def _calls_by_number(lines: list[Line]) -> dict[str, int]:
    found: dict[str, set[str]] = {}
    for line in lines:
        if "From" in line.params:
            found.setdefault(line.params["From"], set()).add(line.params["CallSid"])
    return {number: len(found[number]) for number in sorted(found)}


def test_sql_answers_while_up_runs_and_when_it_does_not(
    settings: Settings, traffic: Any, start_up: Callable[[], Any], wait_until: Any, tmp_path: Path
) -> None:
    """The same rows come in every format from the running program and, after it has ended, from its file."""
    lines = [line for line in traffic.stretch[:150] if line.path.startswith("/twilio/voice/")]
    expected = _calls_by_number(lines)
    sign = signer(settings.accounts[traffic.account_sid].get_secret_value(), settings.public_url or "")
    child = start_up()
    with httpx.Client(base_url=child.wait_for_address(settings.data), timeout=30, trust_env=False) as client:
        for request in map(sign, lines):
            client.post(request.path, content=request.body, headers=request.headers).raise_for_status()
    total = str(sum(expected.values()))
    wait_until(
        lambda: (
            total in CliRunner().invoke(cli, ["sql", "select count(*) from calls", "--data", str(settings.data)]).stdout
        ),
        "the history to have all calls",
    )
    _check_formats(settings.data, tmp_path, expected)
    refused = CliRunner().invoke(cli, ["sql", "drop table callbacks", "--data", str(settings.data)])
    assert refused.exit_code == 2, refused.output
    assert child.stop() == 0, child.said
    _check_formats(settings.data, tmp_path, expected)
