"""Garbage collection for programs whose records and states form no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# A full collection holds every request up for 100 to 200 ms. Records and states form no cycles, so rare ones suffice.
_THRESHOLDS = (50_000, 20, 50)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect rarely, and leave what lives by now (modules, models, routes) out of it, until the end of the block."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        # What stays frozen at the end is reported as leaked by libraries that look.
        gc.unfreeze()
