"""Lengths of time as people write them on the command line."""

from __future__ import annotations

import re

from schemas.settings import ConfigurationError

_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0}


def hours_of(text: str) -> float:
    """Read a length of time into hours.

    Raises:
        ConfigurationError: it is none.

    >>> hours_of("90m"), hours_of("2h"), hours_of("7d")
    (1.5, 2.0, 168.0)
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([mhd])", text.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigurationError(f"--for: {text!r} is no length of time; write it as 90m, 2h or 7d")
    return float(found[1]) * _HOURS[found[2]]
