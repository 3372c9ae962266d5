"""The register of a simulated fleet, as TOML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from schemas.times import DAY, to_iso
from streams.ingest.simulator.attempts import whom
from streams.ingest.simulator.faults import Register, Whom
from streams.ingest.simulator.fleet import Number
from streams.ingest.simulator.incidents import Fleet, aligned, hit
from streams.ingest.simulator.scenario import Scenario

# Older than any rule about new numbers, campaigns or rests asks.
_OLD = 400 * DAY
_CNAM = "RINGWATCH DEMO"
_WELL_KEPT = Register()


def write_register(scenario: Scenario, fleet: Fleet, seed: int, starts_at: int, ending_at: int) -> bytes:
    """Write the register that a scenario's company would keep.

    Args:
        scenario: what is simulated.
        fleet: its numbers by campaign.
        seed: of the simulation.
        starts_at: the simulation's first moment, in milliseconds since the epoch.
        ending_at: its end.
    """
    old = _day(starts_at - _OLD)
    kept: dict[str, tuple[Register, str]] = {}
    campaigns = {campaign.name: old for campaign in scenario.campaigns}
    for fault in scenario.faults:
        onset = _day(aligned(ending_at - fault.starts))
        if fault.register == _WELL_KEPT:
            continue
        if fault.number is None:
            campaigns[scenario.campaigns[fault.campaign].name] = onset
            continue
        for number in hit(fault, fleet, seed):
            kept[number.number] = (fault.register, onset)
    tables = [
        *(("numbers", _number(number, old, kept.get(number.number))) for group in fleet for number in group),
        *(
            ("campaigns", {"campaign": campaign.name, "purpose": campaign.purpose, "since": campaigns[campaign.name]})
            for campaign in scenario.campaigns
        ),
        *(("contacts", row) for row in _contacts(scenario)),
    ]
    return "\n".join(_table(name, row) for name, row in tables if row).encode()


def _number(number: Number, old: str, kept: tuple[Register, str] | None) -> Mapping[str, str]:
    row, onset = (_WELL_KEPT, old) if kept is None else kept
    if row.missing:
        return {}
    return {
        "number": number.number,
        "campaign": number.campaign.name,
        "purpose": number.campaign.purpose,
        "since": onset if row.is_new else old,
        "cnam": _CNAM,
        "trust_hub": row.trust_hub,
        "time_zone": "America/New_York",
    }


def _contacts(scenario: Scenario) -> Iterator[Mapping[str, str]]:
    for index, attempts in enumerate(scenario.attempts):
        if attempts.whom is Whom.MOVED:
            yield {"contact": whom(scenario, index)[0], "time_zone": "America/Los_Angeles", "state": "CA"}


def _day(at: int) -> str:
    return to_iso(at)[:10]


def _table(name: str, row: Mapping[str, str]) -> str:
    lines: Sequence[str] = [f"[[{name}]]", *(f'{column} = "{value}"' for column, value in row.items()), ""]
    return "\n".join(lines)
