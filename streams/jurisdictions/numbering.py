"""Time zones and states of phone numbers, ZIP codes and states."""

from __future__ import annotations

import tomllib
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from phonenumbers.tzdata import TIMEZONE_DATA

_HERE: Final = Path(__file__).resolve().parent

# The plus, the country code 1 and three digits; or the plus and at most three digits of another country code.
_KEY_LENGTH: Final = 5
_NORTH_AMERICA: Final = "+1"
_LONGEST_COUNTRY_CODE: Final = 3


def key_of_number(number: str) -> str:
    """The part of a number that its zones and states depend on.

    >>> key_of_number("+12025550123"), key_of_number("+447700900123"), key_of_number("anonymous")
    ('+1202', '+4477', '')
    """
    return number[:_KEY_LENGTH] if number.startswith("+") else ""


@lru_cache(maxsize=16_384)
def zones_of_number(number: str) -> tuple[str, ...]:
    """All time zones that a number may lie in; empty if nothing is known.

    In the North American plan the union of those of all prefixes below its area code, as numbers move within it and the
    prefixes list exceptions only; elsewhere the union of those of the country code. Toll-free and other non-geographic
    area codes have none.

    Args:
        number: as E.164, or what `key_of_number` gives for it.

    >>> zones_of_number("+18505550123")  # Florida's panhandle
    ('America/Chicago', 'America/New_York')
    >>> zones_of_number("+18005550123"), zones_of_number("+4930123456")
    ((), ('Europe/Berlin',))
    """
    key = key_of_number(number)
    if key.startswith(_NORTH_AMERICA):
        return _zones_below(key[1:]) if len(key) == _KEY_LENGTH else ()
    codes = _country_codes()
    for length in range(1, _LONGEST_COUNTRY_CODE + 1):
        code = key[1 : 1 + length]
        if code in codes:
            return _zones_below(code)
    return ()


def _zones_below(prefix: str) -> tuple[str, ...]:
    return tuple(sorted({zone for known, zones in TIMEZONE_DATA.items() if known.startswith(prefix) for zone in zones}))


@cache
def _country_codes() -> frozenset[str]:
    # No country code begins another one, so that those of one digit (1 and 7) leave only their own country's out.
    short = {prefix for prefix in TIMEZONE_DATA if len(prefix) <= _LONGEST_COUNTRY_CODE}
    return frozenset(code for code in short if not any(code[:length] in short for length in range(1, len(code))))


@cache
def _areas() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for state, areas in tomllib.loads((_HERE / "area_codes.toml").read_text(encoding="utf-8"))["area_codes"].items():
        for area in areas:
            found[area] = (*found.get(area, ()), state)
    return found


def states_of_area_code(area: str) -> tuple[str, ...]:
    """The state that an area code lies in, or the Canadian provinces; empty if it lies in none.

    >>> states_of_area_code("212"), states_of_area_code("902"), states_of_area_code("800")
    (('NY',), ('NS', 'PE'), ())
    """
    return _areas().get(area, ())


def states_of_number(number: str) -> tuple[str, ...]:
    """The states of a number's area code; empty outside the North American plan."""
    return states_of_area_code(number[2:_KEY_LENGTH]) if number.startswith(_NORTH_AMERICA) else ()


@cache
def zones_of_state(state: str) -> tuple[str, ...]:
    """All time zones of a state's area codes; empty for what is no state.

    >>> zones_of_state("TN"), zones_of_state("AZ")
    (('America/Chicago', 'America/New_York'), ('America/Denver', 'America/Phoenix'))
    """
    areas = [area for area, states in _areas().items() if state in states]
    return tuple(sorted({zone for area in areas for zone in zones_of_number(f"+1{area}")}))


@cache
def _zips() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for state, ranges in tomllib.loads((_HERE / "zip_codes.toml").read_text(encoding="utf-8"))["zip_codes"].items():
        for span in ranges:
            first, _, last = span.partition("-")
            for number in range(int(first), int(last or first) + 1):
                prefix = f"{number:03}"
                found[prefix] = (*found.get(prefix, ()), state)
    return found


def states_of_zip(code: str) -> tuple[str, ...]:
    """The states of a ZIP code's first three digits; empty for one of the military, or that is not in use.

    >>> states_of_zip("33101"), states_of_zip("06390"), states_of_zip("09012")
    (('FL',), ('CT', 'NY'), ())
    """
    return _zips().get(code[:3], ())
