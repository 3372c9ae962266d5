from __future__ import annotations

from collections import defaultdict
from functools import cache
from zoneinfo import ZoneInfo

from phonenumbers.geodata import GEOCODE_DATA
from phonenumbers.tzdata import TIMEZONE_DATA

from schemas.state_rules import STATES
from streams.jurisdictions.numbering import states_of_area_code, zones_of_number, zones_of_state

# As libphonenumber names them; cities stand as "Houston, TX". One name is misspelt there.
_NAMES = {
    "Washington D.C.": ["DC"],
    "Washington State": ["WA"],
    "British Colombia": ["BC"],
    "Northwest Territories/Nunavut/Yukon": ["NT", "NU", "YT"],
    "Nova Scotia/Prince Edward Island": ["NS", "PE"],
} | {name: [state] for state, name in STATES.items()}

# Known by their zone alone: the geocoding data has no name for an area code that is a country or territory of its own.
_TERRITORIES = {
    "America/Puerto_Rico": "PR",
    "America/St_Thomas": "VI",
    "Pacific/Guam": "GU",
    "Pacific/Pago_Pago": "AS",
    "Pacific/Saipan": "MP",
}


def named_states(name: str) -> list[str]:
    """The states that a name of libphonenumber's says; empty if it says none."""
    place = name.rpartition(", ")[2]
    return [place] if place in STATES else _NAMES.get(place, [])


@cache
def derived() -> dict[str, list[str]]:
    """Area codes and their states, as the installed package has them."""
    prefixes: dict[str, set[str]] = defaultdict(set)
    for prefix, names in GEOCODE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= 4:
            prefixes[prefix[1:4]].update(named_states(names.get("en", "")))
    found = {}
    for area in {prefix[1:4] for prefix in TIMEZONE_DATA if prefix.startswith("1") and len(prefix) >= 4}:
        own = named_states(GEOCODE_DATA.get(f"1{area}", {}).get("en", ""))
        zones = TIMEZONE_DATA.get(f"1{area}", ())
        if not own and len(zones) == 1 and zones[0] in _TERRITORIES:
            own = [_TERRITORIES[zones[0]]]
        states = own or sorted(prefixes[area])
        if states:
            found[area] = sorted(states)
    return found


def test_area_codes_are_those_of_the_package() -> None:
    """streams/jurisdictions/area_codes.toml says of every area code what the installed phonenumbers says."""
    expected = derived()
    assert len(expected) > 400
    known = {f"{area}" for area in map(str, range(200, 1_000)) if states_of_area_code(str(area))}
    assert known == set(expected), "write the difference into streams/jurisdictions/area_codes.toml"
    assert {area: sorted(states_of_area_code(area)) for area in expected} == expected


def test_zones_of_an_area_code_are_all_that_its_prefixes_name() -> None:
    """The zones of a number are the union over all prefixes below its area code, and zoneinfo knows each of them."""
    checked = 0
    for area in derived():
        expected = {zone for prefix, zones in TIMEZONE_DATA.items() if prefix.startswith(f"1{area}") for zone in zones}
        assert set(zones_of_number(f"+1{area}5550123")) == expected
        checked += len([ZoneInfo(zone) for zone in expected])
    assert checked > 450


def test_every_state_has_zones() -> None:
    """Each state's zones are the union of its area codes', and there is at least one."""
    for state in STATES:
        expected = {
            zone
            for area, states in derived().items()
            if state in states
            for zone in zones_of_number(f"+1{area}5550123")
        }
        assert set(zones_of_state(state)) == expected != set()
