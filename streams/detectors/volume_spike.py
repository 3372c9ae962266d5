"""The rule `volume_spike`: far more calls in a bucket than the hour and the day explain."""

from __future__ import annotations

from math import ceil
from typing import Self

import msgspec

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.rules import VolumeSpike as Settings
from schemas.times import MINUTE, hour_of_week, to_iso
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.negative_binomial import limit_of
from streams.detectors.volume_alerts import SpikeRun, spike_alert
from streams.detectors.volume_level import LEVEL_HOURS, VolumeLevel
from streams.windows.packing import pack, unpack

VERSION = 1

REST_HOURS = 14 * 24
"""Silence this long is no volume of zero but a rest: nothing more is learned from it."""


class _Bucket(msgspec.Struct, array_like=True):
    mean: float | None
    count: int = 0
    over: bool = False


class _State(msgspec.Struct, array_like=True):
    level: VolumeLevel = msgspec.field(default_factory=VolumeLevel)
    newest: int | None = None
    learned_until: int = 0
    empty: int = 0
    open: dict[int, _Bucket] = msgspec.field(default_factory=dict)
    runs: int = 0
    run: SpikeRun | None = None


_decoder = msgspec.msgpack.Decoder(_State)


class VolumeSpike:
    """Calls per bucket of one number, campaign or account, held against a limit.

    The limit of a bucket is set from the buckets that closed the lateness before it began, so it is the same whatever
    order the calls within the lateness come in. The rule fires as soon as a count passes the limit, and resolves after
    so many closed buckets in a row within theirs. What it learns is cut off at the limit: a spike does not become the
    norm, lasting growth does in time.

    Args:
        settings: the rule's settings.
        subject: the number, campaign or account.
        lateness: how late a call may be and still count, in milliseconds.

    References:
        Weinberg, J., Brown, L. D., Stroud, J. R. (2007), Journal of the American Statistical Association
        102:1185-1198.

    >>> spike = VolumeSpike(Settings(number_limit=3), Subject(SubjectKind.NUMBER, "+12025550100"), 120_000)
    >>> [len(spike.update(at, 1, at)) for at in range(4)]
    [0, 0, 1, 0]
    """

    __slots__ = ("_absolute", "_decay", "_lag", "_least", "_length", "_per_hour", "settings", "state", "subject")

    def __init__(self, settings: Settings, subject: Subject, lateness: int) -> None:
        self.settings = settings
        self.subject = subject
        self.state = _State()
        self._length = settings.bucket_minutes * MINUTE
        self._per_hour = 60 // settings.bucket_minutes
        self._lag = -(-lateness // self._length)
        self._absolute = _absolute_limit(settings, subject.kind)
        usual = settings.least_excess - 1
        self._least = usual if self._absolute is None else min(usual, self._absolute)
        self._decay = 0.5 ** (1 / (LEVEL_HOURS * self._per_hour))

    @property
    def runs(self) -> int:
        """How often the rule has fired; a state with runs must be kept, or alert ids would repeat."""
        return self.state.runs

    def update(self, at: int, amount: int, watermark: int) -> list[Finding]:
        """Count calls.

        Args:
            at: the event time of the attempts, in milliseconds since the epoch.
            amount: how many; negative takes back.
            watermark: the event time up to which the subject's calls are known, but for those within the lateness. It
                may lie before `at` where calls come by several partitions.

        Returns:
            What the calls, and the time that passed, brought to light.
        """
        if not self.settings.enabled:
            return NOTHING
        state = self.state
        index = at // self._length
        findings = NOTHING
        if state.newest is None or watermark // self._length > state.newest:
            findings = self.advance(watermark)
        bucket = state.open.get(index)
        if bucket is None:
            if state.newest is None or index < state.newest - self._lag:
                return findings
            # Only at the very beginning: an early call that came second moves the beginning.
            state.learned_until = min(state.learned_until, index)
            # Otherwise the bucket lies ahead of the watermark, told by a partition that is ahead of the others.
            bucket = state.open[index] = _Bucket(self._mean(index))
        bucket.count += amount
        # Most buckets hold fewer calls than any limit could be; theirs is never worked out.
        if bucket.count <= self._least:
            return findings
        limit = self._limit(bucket.mean)
        if limit is None or bucket.count <= limit:
            return findings
        bucket.over = True
        if state.run is None:
            return [*findings, self._fire(index, bucket, at)]
        state.run.peak = max(state.run.peak, bucket.count)
        return findings

    def advance(self, watermark: int) -> list[Finding]:
        """Close what lies the lateness before the watermark; for when time passes without calls.

        Args:
            watermark: the subject's event time, in milliseconds since the epoch.
        """
        state = self.state
        last = watermark // self._length
        if not self.settings.enabled:
            return NOTHING
        if state.newest is None:
            state.newest = state.learned_until = last
            state.open[last] = _Bucket(self._mean(last))
            return NOTHING
        findings: list[Finding] = []
        for index in range(max(state.newest + 1, last - self._lag), last + 1):
            self._close_until(index - self._lag, findings)
            if index not in state.open:
                state.open[index] = _Bucket(self._mean(index))
        state.newest = max(state.newest, last)
        return findings or NOTHING

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it; counts are of the bucket that `at` lies in.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
        """
        state, index = self.state, at // self._length
        bucket = state.open.get(index)
        mean = self._mean(index) if bucket is None else bucket.mean
        count = bucket.count if bucket is not None else None
        return {
            "state": self._word(mean),
            "bucket_minutes": self.settings.bucket_minutes,
            "count": count,
            "expected": None if mean is None else round(mean, 2),
            "limit": self._limit(mean),
            "level": round(state.level.today(), 3) if state.level.expected else None,
            "learned_hours": state.level.learned // self._per_hour,
            "learning_hours": self.settings.learning_hours,
            "since": None if state.run is None else to_iso(state.run.since),
        }

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        state = self.state
        state.open = {index: state.open[index] for index in sorted(state.open)}
        return pack(VERSION, state)

    @classmethod
    def from_bytes(cls, data: bytes, settings: Settings, subject: Subject, lateness: int) -> Self:
        """The state from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        spike = cls(settings, subject, lateness)
        spike.state = unpack(VERSION, _decoder, data, "volume of a subject")
        return spike

    def _word(self, mean: float | None) -> str:
        if not self.settings.enabled:
            return "off"
        if self.state.run is not None:
            return "firing"
        return "learning" if mean is None else "ok"

    def _mean(self, index: int) -> float | None:
        """The expected count of a bucket; None while nothing is known of its hour."""
        level = self.state.level
        if level.learned < self.settings.learning_hours * self._per_hour:
            return None
        hour = hour_of_week(index * self._length)
        mean = level.mean(hour, self._per_hour) if level.known(hour, self._per_hour) else None
        return None if mean is None else mean * level.today()

    def _limit(self, mean: float | None) -> int | None:
        """The highest count that is not yet too many; None if there is no such thing."""
        absolute = self._absolute
        if mean is None:
            return absolute
        settings = self.settings
        usual = max(
            limit_of(mean, settings.dispersion, settings.tail_probability), ceil(mean + settings.least_excess) - 1
        )
        return usual if absolute is None else min(usual, absolute)

    def _close_until(self, end: int, findings: list[Finding]) -> None:
        state = self.state
        while state.learned_until < end:
            index = state.learned_until
            is_counting_calm = state.run is not None and state.run.calm is not None
            if index in state.open or is_counting_calm:
                self._close(index, findings)
                state.learned_until += 1
            else:
                state.learned_until = min((*state.open, end))
                self._close_silence(index, state.learned_until)

    def _close_silence(self, index: int, end: int) -> None:
        """Close buckets that were never opened, as `_close` would, by the hour."""
        state = self.state
        rest = REST_HOURS * self._per_hour
        learned_end = min(end, index + rest - state.empty)
        state.empty = min(state.empty + end - index, rest)
        while index < learned_end:
            hour_end = min(learned_end, index - index % self._per_hour + self._per_hour)
            hour = hour_of_week(index * self._length)
            state.level.learn_silence(hour, hour_end - index, self._per_hour, self._decay)
            index = hour_end

    def _close(self, index: int, findings: list[Finding]) -> None:
        state = self.state
        bucket = state.open.pop(index, None)
        count, over = 0, False
        if bucket is not None:
            count, over = max(bucket.count, 0), bucket.over
            limit = self._limit(bucket.mean) if count > self._least else None
            if limit is not None:
                count = min(count, limit)
        rest = REST_HOURS * self._per_hour
        resting = not count and state.empty >= rest
        state.empty = 0 if count else min(state.empty + 1, rest)
        if not resting:
            state.level.learn(hour_of_week(index * self._length), count, self._per_hour, self._decay)
        run = state.run
        if run is None:
            return
        if over:
            run.calm = 0
        elif run.calm is not None:
            run.calm += 1
            if run.calm >= self.settings.calm_buckets:
                # The end of the closed bucket is the same in every order; the call that closes it is not.
                at = (index + 1) * self._length
                findings.append(spike_alert(self.settings, self.subject, run, AlertState.RESOLVED, at))
                state.run = None
                for later in sorted(state.open):
                    if state.open[later].over:
                        findings.append(self._fire(later, state.open[later], max(at, later * self._length)))
                        break

    def _fire(self, index: int, bucket: _Bucket, at: int) -> Alert:
        state = self.state
        limit = self._limit(bucket.mean)
        assert limit is not None
        state.runs += 1
        absolute = limit == self._absolute
        run = state.run = SpikeRun(state.runs, index * self._length, at, bucket.count, limit, bucket.mean, absolute)
        return spike_alert(self.settings, self.subject, run, AlertState.FIRING, at)


def _absolute_limit(settings: Settings, kind: SubjectKind) -> int | None:
    """The highest count that is not yet too many whatever the past says."""
    limit = {
        SubjectKind.NUMBER: settings.number_limit,
        SubjectKind.CAMPAIGN: settings.campaign_limit,
        SubjectKind.ACCOUNT: settings.account_limit,
    }.get(kind)
    return None if limit is None else limit - 1
