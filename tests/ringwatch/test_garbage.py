"""Rare garbage collections."""

from __future__ import annotations

import gc

from ringwatch.garbage import rare_collections


def test_collections_are_rare_in_the_block_and_as_before_after_it() -> None:
    """After the block, thresholds are those from before it and nothing stays frozen."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with rare_collections():
        assert gc.get_threshold() > before
        assert gc.get_freeze_count() > frozen
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() <= frozen
