"""What the measurements of the agents on Kafka are made with."""

from __future__ import annotations

import re

import msgspec
import pytest

from bench import facts_of_traffic
from bench.dense_traffic import records
from bench.facts_of_traffic import difference
from bench.fleet_states import FLEET, FLEET_CAMPAIGNS, campaign_of, number_of
from bench.fleet_traffic import as_records, fleet_lines
from bench.kafka_pipeline import measure
from schemas.callback import Callback
from schemas.settings import load_settings
from schemas.times import from_iso
from schemas.topics import CALLBACKS

_ENDS = from_iso("2026-11-23T14:00:00Z")
_COUNT = 3_000
_NUMBERS = 200


def test_a_lost_callback_is_seen_in_the_facts() -> None:
    """Windows differ from those of a replay as soon as the calls of one sampled number are missing."""
    settings = load_settings()
    made = records(_COUNT, settings, _NUMBERS)
    whole = facts_of_traffic.of_replay(made, settings)
    number = next(name for name, windows in whole.windows.items() if windows[0]["attempts"])
    without = [record for record in made if number.encode() not in (record.value or b"")]

    assert difference(whole, whole) is None
    assert difference(facts_of_traffic.of_replay(without, settings), whole) is not None


def test_a_missing_alert_is_seen_in_the_facts() -> None:
    """An alert too few or too many is told by its rule."""
    told = frozenset({("opt_out", "contact", "+13035550100", "firing")})
    with_alert = facts_of_traffic.Facts({}, told)
    without = facts_of_traffic.Facts({}, frozenset())

    assert "1 alerts are missing" in (difference(without, with_alert) or "")
    assert "1 are too many" in (difference(with_alert, without) or "")


def test_the_fleet_has_numbers_and_campaigns_of_its_own() -> None:
    """Each place of the fleet has another number that can be called, a hundred to a campaign."""
    numbers = {number_of(index) for index in range(FLEET)}

    assert len(numbers) == FLEET
    assert all(re.fullmatch(r"\+1[2-9]\d{2}[2-9]\d{6}", number) for number in numbers)
    assert len({campaign_of(index) for index in range(FLEET)}) == FLEET_CAMPAIGNS


def test_traffic_of_the_fleet_keeps_a_call_on_one_number_and_campaign() -> None:
    """All callbacks of a call name the same number of the fleet and its campaign, as far as they name any."""
    made = as_records(fleet_lines(_COUNT, _ENDS, _NUMBERS), load_settings())
    callbacks = [Callback.decode(record.value or b"") for record in made if record.topic == CALLBACKS.name]
    places = {number_of(index): campaign_of(index) for index in range(FLEET)}
    named: dict[str, set[tuple[str, str]]] = {}
    for callback in callbacks:
        if callback.number is not None and callback.campaign is not None:
            named.setdefault(callback.call_sid, set()).add((callback.number, callback.campaign))

    assert len(callbacks) == _COUNT
    assert all(len(found) == 1 for found in named.values())
    assert all(places[number] == campaign for found in named.values() for number, campaign in found)


@pytest.mark.kafka
def test_a_backlog_on_kafka_is_worked_off_to_the_facts_of_a_replay() -> None:
    """The figure is given, not refused, and says what a thousand callbacks cost."""
    # Fewer would be worked off before the clock starts.
    rate, workers, broker = measure(10 * _COUNT, (1,), _NUMBERS)

    assert rate.value is not None, msgspec.json.encode(rate)
    assert rate.value > 0
    assert workers.value is not None
    assert broker.value is not None
