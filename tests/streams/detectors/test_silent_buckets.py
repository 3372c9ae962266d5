from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Subject, SubjectKind
from schemas.rules import VolumeSpike as Settings
from schemas.times import DAY, HOUR, MINUTE, from_iso
from streams.detectors import Finding, VolumeSpike
from streams.detectors.finding import NOTHING
from streams.detectors.volume_level import MEMORY_WEEKS, VolumeLevel
from streams.detectors.volume_spike import REST_HOURS, _Bucket

START = from_iso("2026-11-02T00:00:00Z")  # a Monday
NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
REST = REST_HOURS * HOUR


class OneByOne(VolumeSpike):
    """The rule with every bucket closed for itself, in the order of time."""

    def advance(self, watermark: int) -> list[Finding]:
        """Close what lies the lateness before the watermark, bucket by bucket."""
        state, last = self.state, watermark // self._length
        if state.newest is None:
            return super().advance(watermark)
        findings: list[Finding] = []
        for index in range(state.newest + 1, last + 1):
            while state.learned_until < index - self._lag:
                self._close(state.learned_until, findings)
                state.learned_until += 1
            if index >= last - self._lag and index not in state.open:
                state.open[index] = _Bucket(self._mean(index))
        state.newest = max(state.newest, last)
        return findings or NOTHING


def aged(random: Random, per_hour: int) -> VolumeLevel:
    """The knowledge of a long past, most of its hours about to be halved."""
    level = VolumeLevel()
    for hour in range(168):
        for _ in range(random.randrange(3)):
            level.learn(hour, random.randrange(4), per_hour, 0.97)
        full = max(MEMORY_WEEKS * per_hour - random.randrange(3 * per_hour) - level.buckets[hour], 0)
        kind = hour % 24 + 24 * (hour >= 5 * 24)
        level.buckets[hour] += full
        level.kind_buckets[kind] += full
        level.totals[hour] += full // 7
        level.kind_totals[kind] += full // 7
    return level


def calls(random: Random, since: int, lateness: int) -> list[tuple[int, int, int]]:
    """Time, amount and watermark of calls: some in bursts, some late or ahead or taken back, between silences."""
    found, at = [], since + random.randrange(DAY)
    for _ in range(random.randrange(3, 12)):
        at += random.choice([1, 5 * MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY, REST]) * random.randrange(1, 4) // 2
        for _ in range(random.choice([1, 1, 1, 8])):
            at += random.randrange(2 * MINUTE)
            shift = random.randint(-lateness, 2 * HOUR) if random.random() < 0.2 else 0
            found.append((at + shift, random.choice([1, 1, 1, 2, -1]), at))
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32),
    st.sampled_from([5, 10, 30, 60]),
    st.lists(st.sampled_from([0, 2 * MINUTE, 5 * MINUTE, 30 * MINUTE]), min_size=1, max_size=3),
    st.integers(1, 40),
    st.booleans(),
)
def test_silence_is_taken_in_as_if_bucket_by_bucket(
    seed: int, minutes: int, latenesses: list[int], calm: int, is_aged: bool
) -> None:
    """However long the silences, findings and bytes are those of closing each bucket for itself."""
    random = Random(seed)
    chosen = Settings(bucket_minutes=minutes, number_limit=5, calm_buckets=calm, learning_hours=2, least_excess=3)
    quick, slow = VolumeSpike(chosen, NUMBER, 0), OneByOne(chosen, NUMBER, 0)
    if is_aged:
        quick.state.level = aged(random, 60 // minutes)
        slow.state.level = msgspec.convert(msgspec.to_builtins(quick.state.level), VolumeLevel)
    newest = START
    # A state outlives a change of the lateness.
    for lateness in latenesses:
        quick = VolumeSpike.from_bytes(quick.to_bytes(), chosen, NUMBER, lateness)
        slow = OneByOne.from_bytes(slow.to_bytes(), chosen, NUMBER, lateness)
        for at, amount, watermark in calls(random, newest, lateness):
            assert quick.update(at, amount, watermark) == slow.update(at, amount, watermark)
            assert quick.to_bytes() == slow.to_bytes()
            newest = watermark


def test_a_silent_hour_is_halved_by_the_same_bucket() -> None:
    """Wherever the halving falls within a silent hour, counts and decayed sums are those of bucket by bucket."""
    for before in range(12):
        quick, slow = VolumeLevel(), VolumeLevel()
        for level in (quick, slow):
            for index in range(MEMORY_WEEKS * 12 - before):
                level.learn(10, index % 3, 12, 0.97)
        quick.learn_silence(10, 12, 12, 0.97)
        for _ in range(12):
            slow.learn(10, 0, 12, 0.97)
        assert quick == slow
        assert quick.buckets[10] < MEMORY_WEEKS * 12
