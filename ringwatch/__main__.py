"""`python -m ringwatch` is `ringwatch`."""

from __future__ import annotations

from ringwatch.cli import main

main()
