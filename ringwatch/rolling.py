"""The windows and rules of numbers and campaigns for the API, read from the agents' changelogs."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from schemas.alert import Subject, SubjectKind
from schemas.log import Log, LogUnavailableError, Positions, Record
from schemas.settings import Settings
from schemas.times import SECOND
from sinks.feed.rolling import WINDOWS, SubjectView
from streams.agents.app import changelog_of
from streams.agents.bundle import Choice
from streams.agents.campaigns import (
    CampaignState,
    NumberState,
    campaign_and_number,
    campaign_key,
    name_of_campaign,
    number_key,
    read_number_state,
)
from streams.agents.choices import OF_CAMPAIGNS, OF_NUMBERS, ShareRules
from streams.agents.epochs import Epochs
from streams.agents.subject import SubjectState
from streams.detectors.answer_status import describe_campaign, describe_number
from streams.detectors.rising_share import describe as describe_share
from streams.windows.ring import Span
from streams.windows.rolling import RollingCounts

_NUMBERS = changelog_of("numbers")
_CAMPAIGNS = changelog_of("campaigns")

_SPANS = dict(zip(WINDOWS, (Span.FIVE_MINUTES, Span.HOUR, Span.DAY, Span.WEEK), strict=True))

_RECORDS_A_FETCH = 1_000
_WAIT_SECONDS = 0.5
_PAUSE_SECONDS = 1.0
# Kafka may compact away what a changelog ends with. An end that no record leads to is taken as reached after this long
# without a record: longer than a slow broker's fetch.
_SETTLE_SECONDS = 2.0

_logger = logging.getLogger(__name__)


# What a detector says of itself: words, numbers and None.
Described = dict[str, dict[str, Any]]


class SortedKeys:
    """Keys in order, for lists that are read page by page while new keys come in."""

    def __init__(self) -> None:
        self._keys: list[str] = []

    def add(self, key: str) -> None:
        """Put a key in its place; one that is there already stays."""
        place = bisect_left(self._keys, key)
        if place == len(self._keys) or self._keys[place] != key:
            self._keys.insert(place, key)

    def remove(self, key: str) -> None:
        """Take a key out, if it is there."""
        place = bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            del self._keys[place]

    def after(self, key: str | None) -> Iterator[str]:
        """The keys past a key, in order; all of them past None."""
        start = 0 if key is None else bisect_right(self._keys, key)
        for place in range(start, len(self._keys)):
            yield self._keys[place]


class Rolling:
    """Follows the changelogs of numbers and campaigns; decodes a state when somebody asks for it.

    Windows are read as of the latest event time that any campaign has seen: event time decides, also for those whose
    own traffic has stopped.

    Args:
        log: the changelogs are in it.
        settings: lateness and rules, to read the states with.
    """

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log = log
        self._rules = settings.rules
        self._of_numbers = Choice(SubjectKind.NUMBER, OF_NUMBERS, settings.rules)
        self._of_campaigns = Choice(SubjectKind.CAMPAIGN, OF_CAMPAIGNS, settings.rules)
        self._shares = ShareRules(settings.rules)
        self._lateness = round(settings.lateness_seconds * SECOND)
        self._numbers: dict[str, bytes] = {}
        self._campaigns: dict[bytes, bytes] = {}
        self._number_names = SortedKeys()
        self._campaign_names = SortedKeys()
        self._newest = 0
        self._moved: set[str] = set()
        self._epochs = Epochs()
        self._numbers_of: dict[str, SortedKeys] = {}
        self._last_read: tuple[bytes, CampaignState] | None = None
        self._ready = False

    def readiness(self) -> bool | str:
        """Whether the changelogs were read up to where they stood at the start."""
        return self._ready or "reading the windows from the log"

    async def run(self, stop: asyncio.Event) -> None:
        """Read the changelogs from their beginning, then follow them."""
        positions: Positions = {}
        while not stop.is_set():
            try:
                await self._follow(positions, stop)
            except LogUnavailableError as error:
                _logger.warning("the windows can't be read from the log, trying again: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self, positions: Positions, stop: asyncio.Event) -> None:
        ends: Positions = {}
        for topic in (_NUMBERS, _CAMPAIGNS):
            for partition, end in (await self._log.ends(topic)).items():
                ends[topic, partition] = end
                positions.setdefault((topic, partition), 0)
        reader = await self._log.reader(dict(positions))
        silent = 0.0
        try:
            while not stop.is_set():
                records = await reader.fetch(_RECORDS_A_FETCH, _WAIT_SECONDS)
                silent = 0.0 if records else silent + _WAIT_SECONDS
                for record in records:
                    self._apply(record)
                    positions[record.topic, record.partition] = record.offset + 1
                self._ready = (
                    self._ready
                    or silent >= _SETTLE_SECONDS
                    or all(positions[place] >= end for place, end in ends.items())
                )
        finally:
            await reader.close()

    def _apply(self, record: Record) -> None:
        if not self._epochs.holds(record):
            return
        key, value = record.key or b"", record.value
        if record.topic == _NUMBERS:
            name = key.decode()
            if value is None:
                self._numbers.pop(name, None)
                self._number_names.remove(name)
            else:
                if name not in self._numbers:
                    self._number_names.add(name)
                self._numbers[name] = value
            return
        campaign = name_of_campaign(key)
        if value is None:
            self._campaigns.pop(key, None)
            pair = campaign_and_number(key)
            if pair is not None:
                self._numbers_of[pair[0]].remove(pair[1])
            if campaign is not None:
                self._campaign_names.remove(campaign)
            return
        self._campaigns[key] = value
        pair = campaign_and_number(key)
        if pair is not None:
            self._numbers_of.setdefault(pair[0], SortedKeys()).add(pair[1])
        if campaign is not None:
            self._campaign_names.add(campaign)
            self._moved.add(campaign)

    def number(self, value: str) -> SubjectView | None:
        """One of the company's own numbers; None if it is not known."""
        packed = self._numbers.get(value)
        return None if packed is None else self._view_of_number(value, packed, self._as_of())

    def numbers(self, after: str | None, limit: int, campaign: str | None) -> Sequence[SubjectView]:
        """Up to `limit` numbers in ascending order, past `after`, of one campaign if one is given."""
        as_of = self._as_of()
        names = self._number_names if campaign is None else self._numbers_of.get(campaign, SortedKeys())
        known = (name for name in names.after(after) if name in self._numbers)
        return [self._view_of_number(name, self._numbers[name], as_of) for name in islice(known, limit)]

    def campaign(self, value: str) -> SubjectView | None:
        """One campaign; None if it is not known."""
        packed = self._campaigns.get(campaign_key(value))
        return None if packed is None else self._view_of_campaign(value, packed, self._as_of())

    def campaigns(self, after: str | None, limit: int) -> Sequence[SubjectView]:
        """Up to `limit` campaigns in ascending order, past `after`."""
        as_of = self._as_of()
        names = islice(self._campaign_names.after(after), limit)
        return [self._view_of_campaign(name, self._campaigns[campaign_key(name)], as_of) for name in names]

    def _as_of(self) -> int:
        for name in self._moved:
            packed = self._campaigns.get(campaign_key(name))
            if packed is not None:
                self._newest = max(self._newest, self._read_campaign(name, packed).counts.watermark or 0)
        self._moved.clear()
        return self._newest

    def _read_campaign(self, name: str, packed: bytes) -> CampaignState:
        # The numbers of a list are mostly of one campaign.
        if self._last_read is None or self._last_read[0] is not packed:
            self._last_read = (
                packed,
                CampaignState.from_bytes(packed, name, self._lateness, self._rules, self._of_campaigns),
            )
        return self._last_read[1]

    def _view_of_number(self, name: str, packed: bytes, as_of: int) -> SubjectView:
        subject = Subject(SubjectKind.NUMBER, name)
        state = SubjectState.from_bytes(packed, subject, self._lateness, self._rules.volume_spike, self._of_numbers)
        rules: Described = {"volume_spike": state.spike.describe(as_of)}
        campaign = state.campaigns[-1] if state.campaigns else None
        if campaign is not None:
            rules |= state.detectors.describe(as_of, campaign)
            rules |= self._in_campaign(campaign, name, as_of)
        return SubjectView(name, tuple(state.campaigns), as_of, _windows(state.counts, as_of), rules)

    def _in_campaign(self, campaign: str, number: str, as_of: int) -> Described:
        """What the rules say of a number that look at it within its campaign."""
        own = self._campaigns.get(number_key(campaign, number))
        shared = self._campaigns.get(campaign_key(campaign))
        if own is None or shared is None:
            return {"answer_rate_collapse": {"state": "learning", "campaign": campaign}}
        state: NumberState = read_number_state(number_key(campaign, number), own, self._rules)
        whole = self._read_campaign(campaign, shared)
        described = {
            "answer_rate_collapse": describe_number(whole.answers, state.answers, as_of),
            "no_answer_streak": state.streak.describe(as_of),
            **{
                rule.RULE: describe_share(rule, settings, state.shares.get(rule.RULE), whole.shares.get(rule.RULE))
                for rule, settings in self._shares.of_campaign(campaign)
                if SubjectKind.NUMBER in rule.SUBJECTS
            },
        }
        return {rule: {**said, "campaign": campaign} for rule, said in described.items()}

    def _view_of_campaign(self, name: str, packed: bytes, as_of: int) -> SubjectView:
        state = self._read_campaign(name, packed)
        rules: Described = {
            "volume_spike": state.spike.describe(as_of),
            "answer_rate_collapse": describe_campaign(state.answers, as_of),
            **state.detectors.describe(as_of, name),
            **{
                rule.RULE: describe_share(rule, settings, state.shares.get(rule.RULE), state.shares.get(rule.RULE))
                for rule, settings in self._shares.of_campaign(name)
            },
        }
        return SubjectView(name, (name,), as_of, _windows(state.counts, as_of), rules)


def _windows(counts: RollingCounts, as_of: int) -> dict[str, dict[str, float | int | None]]:
    return {name: counts.read(span, as_of).as_public() for name, span in _SPANS.items()}
