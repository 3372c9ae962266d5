from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.rules import VolumeSpike as Settings
from schemas.times import DAY, HOUR, MINUTE, from_iso
from streams.detectors import Finding, VolumeSpike
from streams.detectors.volume_level import VolumeLevel

LATENESS = 2 * MINUTE
BUCKET = 5 * MINUTE
START = from_iso("2026-11-02T00:00:00Z")  # a Monday
NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")


def spike_of(**chosen: object) -> VolumeSpike:
    """The rule on one number."""
    return VolumeSpike(Settings.model_validate(chosen), NUMBER, LATENESS)


def feed(spike: VolumeSpike, times: list[int]) -> list[Alert]:
    """One call at each time, in this order; the alerts."""
    watermark, said = 0, list[Finding]()
    for at in times:
        watermark = max(watermark, at)
        said += spike.update(at, 1, watermark)
    return [found for found in said if isinstance(found, Alert)]


def steady(days: int, per_bucket: int, since: int = START) -> list[int]:
    """So many calls in every bucket of so many days."""
    return [
        since + bucket * BUCKET + call * 1_000 for bucket in range(days * DAY // BUCKET) for call in range(per_bucket)
    ]


def burst(at: int, calls: int, gap: int = 1_000) -> list[int]:
    """Many calls from one moment on."""
    return [at + call * gap for call in range(calls)]


def states(alerts: list[Alert]) -> list[tuple[AlertState, int]]:
    """Transitions with their sequence."""
    return [(alert.state, alert.sequence) for alert in alerts]


FIRED_AND_RESOLVED = [(AlertState.FIRING, 1), (AlertState.RESOLVED, 2)]


def test_a_spike_fires_at_a_known_call_and_resolves_once() -> None:
    """With four calls a bucket as usual the limit is 18, the 19th call fires, and three calm buckets resolve."""
    spike = spike_of()
    assert feed(spike, steady(4, 4)) == []
    at = START + 4 * DAY
    found = feed(spike, burst(at, 60))
    assert states(found) == [(AlertState.FIRING, 1)]
    assert found[0].evidence["limit"] == 18
    assert (found[0].at, found[0].since) == (at + 18_000, at)
    assert (found[0].evidence["calls"], found[0].evidence["expected"]) == (19, 4.0)
    resolved = feed(spike, steady(1, 4, at + BUCKET))
    assert states(resolved) == [(AlertState.RESOLVED, 2)]
    assert resolved[0].at == at + 4 * BUCKET
    assert resolved[0].evidence["calls"] == 60
    assert resolved[0].alert_id == found[0].alert_id


def test_the_first_days_are_learning() -> None:
    """Until the hour is known a burst below the absolute limit says nothing, and the state says learning."""
    spike = spike_of()
    assert feed(spike, [*steady(1, 1), *burst(START + DAY, 90)]) == []
    shown = spike.describe(START + DAY)
    assert (shown["state"], shown["expected"], shown["limit"], shown["count"]) == ("learning", None, 99, 90)


def test_the_absolute_limit_holds_from_the_first_call() -> None:
    """So many calls in a bucket are too many whatever is known."""
    spike = spike_of(number_limit=20)
    found = feed(spike, burst(START, 30))
    assert states(found) == [(AlertState.FIRING, 1)]
    assert (found[0].at, found[0].evidence["limit_from"]) == (START + 19_000, "absolute limit of the settings")


def test_subjects_have_their_own_absolute_limit() -> None:
    """A campaign without a limit of its own is not held to a number's."""
    campaign = VolumeSpike(Settings(), Subject(SubjectKind.CAMPAIGN, "spring"), LATENESS)
    assert feed(campaign, burst(START, 250)) == []
    account = VolumeSpike(Settings(account_limit=200), Subject(SubjectKind.ACCOUNT, "AC1"), LATENESS)
    assert len(feed(account, burst(START, 250))) == 1


def test_a_weekend_does_not_vouch_for_a_weekday() -> None:
    """An hour of day is known after three days of its kind; Saturday and Sunday say nothing of Monday."""
    saturday = START - 2 * DAY
    spike = spike_of()
    feed(spike, steady(2, 3, saturday))
    assert spike.describe(START + 10 * HOUR)["state"] == "learning"
    assert spike.describe(saturday + 7 * DAY + 10 * HOUR)["state"] == "ok"


def test_silence_counts_as_zero() -> None:
    """A night without calls is learned as such: what the day may do, the night may not."""
    spike = spike_of()
    day_calls = [START + day * DAY + 8 * HOUR + at - START for day in range(7) for at in steady(1, 8)[: 12 * 12 * 8]]
    assert feed(spike, day_calls) == []
    assert spike.describe(START + 7 * DAY + 3 * HOUR)["expected"] == 0.0
    assert feed(spike, burst(START + 7 * DAY + 3 * HOUR, 15))[0].evidence["expected"] == 0.0


def test_a_long_rest_is_not_learned() -> None:
    """After two weeks of silence nothing more is learned, and years of it cost no time."""
    spike = spike_of()
    feed(spike, steady(7, 6))
    assert spike.advance(START + 40 * DAY) == []
    learned = spike.state.level.learned
    spike.advance(START + 4_000 * DAY)
    assert spike.state.level.learned == learned
    assert learned * BUCKET < 22 * DAY


def test_lasting_growth_is_accepted_in_time() -> None:
    """A volume that doubled for good fires at most at first and is the norm after some days."""
    spike = spike_of()
    feed(spike, steady(7, 10))
    grown = feed(spike, steady(10, 25, START + 7 * DAY))
    assert len(grown) <= 2
    shown = spike.describe(START + 17 * DAY)
    assert shown["state"] == "ok"
    assert isinstance(shown["expected"], float)
    assert shown["expected"] > 20


def test_a_call_that_is_too_late_changes_nothing() -> None:
    """What belongs to a closed bucket is left out."""
    spike = spike_of(number_limit=5)
    feed(spike, [START, START + HOUR])
    before = spike.to_bytes()
    assert spike.update(START + 10 * MINUTE, 50, START + HOUR) == []
    assert spike.to_bytes() == before


def test_nothing_is_said_without_calls_or_when_off() -> None:
    """No calls, no alerts; a disabled rule says that it is off."""
    spike = spike_of()
    assert spike.advance(START) == []
    assert spike.advance(START + 30 * DAY) == []
    off = spike_of(enabled=False)
    assert feed(off, burst(START, 500)) == []
    assert off.describe(START)["state"] == "off"


def reordered(random: Random, times: list[int]) -> list[int]:
    """The same calls, each at most the lateness behind the newest before it."""
    return [at for _, at in sorted((at + random.randrange(LATENESS), at) for at in times)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 5, 10]), st.integers(1, 3))
def test_alerts_do_not_depend_on_order_within_the_lateness(seed: int, minutes: int, calm: int) -> None:
    """Any order within the lateness gives the same runs and leaves the same knowledge."""
    random = Random(seed)
    times = [START + random.randrange(3 * DAY) for _ in range(150)]
    for _ in range(6):
        times += burst(START + random.randrange(3 * DAY), random.randrange(5, 40), random.randrange(1, 30_000))
    end = max(times) + DAY
    known = []
    for _ in range(3):
        spike = spike_of(bucket_minutes=minutes, number_limit=8, calm_buckets=calm, learning_hours=1)
        found = feed(spike, [*reordered(random, times), end])
        known.append(([(alert.alert_id, alert.state) for alert in found], spike.state.level, spike.state.open))
    assert known[0] == known[1] == known[2]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 400), max_size=5))
def test_bytes_keep_everything(seed: int, cuts: list[int]) -> None:
    """Stored and loaded at any points, the same calls give the same findings and the same bytes."""
    random = Random(seed)
    times = sorted(START + random.randrange(2 * DAY) for _ in range(350))
    times += burst(START + 2 * DAY, 50, 10_000)
    chosen = Settings(number_limit=12, learning_hours=2)
    kept, sliced = VolumeSpike(chosen, NUMBER, LATENESS), VolumeSpike(chosen, NUMBER, LATENESS)
    for index, at in enumerate(times):
        if index in cuts:
            sliced = VolumeSpike.from_bytes(sliced.to_bytes(), chosen, NUMBER, LATENESS)
        assert kept.update(at, 1, at) == sliced.update(at, 1, at)
    assert kept.to_bytes() == sliced.to_bytes()


def test_the_beginning_does_not_depend_on_order() -> None:
    """The very first calls may come in any order within the lateness and count in their own buckets."""
    times = [START + BUCKET - 20_000, START + BUCKET + 10_000, START + BUCKET - 10_000]
    first, second = spike_of(number_limit=2), spike_of(number_limit=2)
    assert states(feed(first, times)) == states(feed(second, times[1:] + times[:1])) == [(AlertState.FIRING, 1)]
    assert first.state.open == second.state.open
    assert first.state.learned_until == second.state.learned_until
    assert first.update(START - HOUR, 1, START + BUCKET) == []


def test_a_new_spike_on_top_of_the_last_is_a_run_of_its_own() -> None:
    """Where the calm that ends a run is only known once the next spike has begun, both are told, in order."""
    spike = spike_of(bucket_minutes=1, number_limit=5, calm_buckets=1)
    times = [*burst(START, 6), *burst(START + 2 * MINUTE, 6), START + 30 * MINUTE]
    found = feed(spike, times)
    assert states(found) == FIRED_AND_RESOLVED * 2
    assert [alert.since for alert in found] == [START, START, START + 2 * MINUTE, START + 2 * MINUTE]
    assert found[0].alert_id == found[1].alert_id != found[2].alert_id == found[3].alert_id


def test_an_hour_forgets_by_halves() -> None:
    """After sixteen weeks an hour's past is halved, and its mean stays."""
    level = VolumeLevel()
    assert level.mean(10, 12) is None
    for _ in range(16 * 12):
        level.learn(10, 4, 12, 0.9)
    assert (level.buckets[10], level.mean(10, 12)) == (192, 4.0)
    level.learn(10, 4, 12, 0.9)
    assert (level.buckets[10], level.kind_buckets[10], level.mean(10, 12)) == (97, 97, 4.0)


def opening_hours(days: range, per_bucket: int) -> list[int]:
    """So many calls in every bucket from 8:40 to 21:05, on weekdays."""
    open_at, close_at = 8 * HOUR + 40 * MINUTE, 21 * HOUR + 5 * MINUTE
    return [
        START + day * DAY + at + call * 1_000
        for day in days
        if day % 7 < 5
        for at in range(open_at, close_at, BUCKET)
        for call in range(per_bucket)
    ]


def test_the_edges_of_a_schedule_are_no_spikes() -> None:
    """An hour of which only the first five minutes are called in expects in them what they always bring."""
    spike = spike_of()
    assert feed(spike, opening_hours(range(21), 60)) == []
    closing = START + 21 * DAY + 21 * HOUR
    assert feed(spike, opening_hours(range(21, 22), 60)) == []
    assert spike.describe(closing)["expected"] == 60.0
    [fired] = feed(spike, burst(START + 22 * DAY + 21 * HOUR, 180))
    assert fired.since == START + 22 * DAY + 21 * HOUR


def test_one_burst_at_night_is_no_norm() -> None:
    """Each hour counts as one bucket with calls at least: a burst of one night hardly moves the limit of the next."""
    spike = spike_of()
    assert feed(spike, opening_hours(range(14), 60)) == []
    nights = [START + day * DAY + 3 * HOUR for day in range(14, 19)]
    assert [len(feed(spike, burst(night, 60))) for night in nights] == [1, 2, 2, 2, 2]


def test_a_past_that_did_not_tell_buckets_with_calls_apart_is_read() -> None:
    """In states from before that was kept, every bucket passes for one with calls, and the mean is as it was."""
    level = VolumeLevel()
    for index in range(24):
        level.learn(10, 4 * (index % 2), 12, 0.9)
    assert level.mean(10, 12) == 4.0
    packed = msgspec.msgpack.encode(msgspec.to_builtins(level)[:7])
    assert msgspec.msgpack.decode(packed, type=VolumeLevel).mean(10, 12) == 2.0
