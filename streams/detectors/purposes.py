"""Which purposes a number calls for, and since when: what `mixed_purpose` and `number_rest` both look at.

Both rules keep their own list, over their own time, and decide by the same two notions, so that they never speak of the
same calls: purposes overlap (each has called since the later one began), or one took the place of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import msgspec

from schemas.alert import Evidence
from schemas.times import to_iso

PURPOSES_KEPT = 4
"""Purposes kept of a number; one with more is mixed by any two of them."""

CAMPAIGNS_KEPT = 4
"""Campaigns kept of a purpose: to show where to look, not to list them all."""


class Purpose(msgspec.Struct, array_like=True):
    """A purpose that a number calls for, since it was last silent for the whole time that is looked at.

    Attributes:
        name: as the register writes it.
        calls: how many.
        first: event time of the first call, in milliseconds since the epoch.
        last: event time of the last call.
        established: event time of the call that made them enough to count; None until then.
        times: event times of the latest calls, in ascending order; as many as make a purpose count.
        campaigns: calls by campaign.
    """

    name: str
    calls: int
    first: int
    last: int
    established: int | None
    times: list[int]
    campaigns: dict[str, int]


def note(known: list[Purpose], name: str, campaign: str, at: int, span: int, enough: int) -> bool:
    """Take in one call: its purpose goes to the front of the list, those silent for the span are dropped.

    Args:
        known: the number's purposes, the one it called for last first; changed in place.
        name: the call's purpose. Case and blanks around it make no other purpose.
        campaign: the call's.
        at: event time of the call, in milliseconds since the epoch.
        span: a purpose without a call for so many milliseconds is dropped.
        enough: calls that make a purpose count.

    Returns:
        Whether a purpose was dropped.
    """
    if not known or known[0].name != name:
        place = _place(known, name)
        known.insert(0, Purpose(name, 0, at, at, None, [], {}) if place is None else known.pop(place))
    purpose = known[0]
    dropped = at - purpose.last >= span
    if dropped:
        known[0] = purpose = Purpose(name, 0, at, at, None, [], {})
    if len(known) > 1:
        newest = max(at, *(other.last for other in known))
        kept = [purpose, *(other for other in known[1:] if newest - other.last < span)][:PURPOSES_KEPT]
        dropped |= len(kept) < len(known)
        known[:] = kept
    _count(purpose, campaign, at, enough)
    return dropped


def _place(known: Sequence[Purpose], name: str) -> int | None:
    plain = name.strip().casefold()
    return next((place for place, other in enumerate(known) if other.name.strip().casefold() == plain), None)


def _count(purpose: Purpose, campaign: str, at: int, enough: int) -> None:
    purpose.calls += 1
    times = purpose.times
    times.append(at)
    if at >= purpose.last:
        purpose.last = at
    else:
        times.sort()
        purpose.first = min(purpose.first, at)
    if len(times) > enough:
        del times[:-enough]
    if purpose.established is None and purpose.calls >= enough:
        purpose.established = times[-1]
    campaigns = purpose.campaigns
    if campaign in campaigns or len(campaigns) < CAMPAIGNS_KEPT:
        campaigns[campaign] = campaigns.get(campaign, 0) + 1


def overlap_since(one: Purpose, other: Purpose, enough: int, floor: int = 0) -> int | None:
    """Since when a number calls for both of two purposes; None if it does not.

    It does if it has placed enough calls for each of them since the later one began: old, new, and old again.

    Args:
        one: a purpose.
        other: another one.
        enough: calls for each that there must be.
        floor: event time before which calls are not looked at.

    >>> old = Purpose("sales", 5, 1, 9, 3, [7, 8, 9], {})
    >>> overlap_since(old, Purpose("survey", 3, 4, 6, 6, [4, 5, 6], {}), 3)
    4
    >>> overlap_since(old, Purpose("survey", 3, 10, 12, 12, [10, 11, 12], {}), 3) is None
    True
    """
    since = max(one.first, other.first, floor)
    if has_called_since(one, since, enough) and has_called_since(other, since, enough):
        return since
    return None


def has_called_since(purpose: Purpose, since: int, enough: int) -> bool:
    """Whether there were enough calls for a purpose at an event time and after."""
    times = purpose.times
    return len(times) >= enough and times[-enough] >= since


def is_any_overlap(known: Sequence[Purpose], enough: int) -> bool:
    """Whether a number calls for any two of its purposes at once."""
    return any(overlap_since(one, other, enough) is not None for one, other in combinations(known, 2))


def evidence_of(purposes: Sequence[Purpose]) -> Evidence:
    """What an alert tells of purposes: calls by purpose and by campaign, first and last call of each purpose."""
    campaigns: dict[str, int] = {}
    for purpose in purposes:
        for campaign, calls in purpose.campaigns.items():
            campaigns[campaign] = campaigns.get(campaign, 0) + calls
    return {
        "purposes": [purpose.name for purpose in purposes],
        "calls": {purpose.name: purpose.calls for purpose in purposes},
        "campaigns": dict(sorted(campaigns.items())),
        "first_call": {purpose.name: to_iso(purpose.first) for purpose in purposes},
        "last_call": {purpose.name: to_iso(purpose.last) for purpose in purposes},
    }
