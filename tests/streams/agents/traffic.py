"""Logs that make one rule speak: calls in good and bad phases, as facts or signals in the order of their arrival.

Nobody in them is silent for so long as to be forgotten: when a stage removes a state depends on the slices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from schemas.call import CallFact, Contribution, Direction, Disposition, FactKind, Origin
from schemas.log import Record
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.registration import NumberRegistration
from schemas.times import DAY, HOUR, MINUTE, SECOND, from_iso
from schemas.topics import ACCOUNTS, CALLS, CAMPAIGNS, CONTACTS, OPTOUTS, Topic
from streams.windows.tally import changes
from tests.streams import facts

START = from_iso("2026-11-02T15:00:00Z")
LATENESS = 2 * MINUTE
ACCOUNT = "AC1"
PARTITIONS = 2

# Each of an exchange of its own; the last one calls for the second campaign, and all others for the first.
NUMBERS = ["+12025500100", "+12025510100", "+12025520100"]
FLEET = [*NUMBERS, *(f"+1202560{place:04}" for place in range(12))]
CAMPAIGN_OF = dict.fromkeys(FLEET, "spring-sale") | {NUMBERS[2]: "renewals"}
FEW = ["+12125550123", "+13055550123", "+18085550123"]
MANY = [*FEW, *(f"+1212555{place:04}" for place in range(40))]

KEY_OF: dict[str, Callable[[CallFact], str]] = {
    CALLS.name: lambda fact: fact.number,
    CAMPAIGNS.name: lambda fact: fact.campaign,
    CONTACTS.name: lambda fact: fact.contact,
    ACCOUNTS.name: lambda fact: fact.account_sid,
}

# They tell of no call, and move no watermark.
_NO_CALLS = frozenset({FactKind.OPTED_OUT, FactKind.QUIET})

CallOf = Callable[[Random, int, bool, str], list[CallFact]]
"""The facts of a call that is placed at a time, good or bad, from a number."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls that make a rule speak.

    Attributes:
        call: makes one.
        step: mean time between two calls, in milliseconds.
        bad_step: the same in bad phases.
        phases: calls of five phases: good, bad on the first number, good, bad on all, good.
        fleet: the numbers that call where all is bad; of many, none stands out.
        silence: how long nothing comes after the bad phases, in milliseconds; ticks tell of it.
    """

    call: CallOf
    step: int = 20 * SECOND
    bad_step: int | None = None
    phases: Sequence[int] = (60, 40, 30, 40, 40)
    fleet: Sequence[str] = tuple(NUMBERS)
    silence: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact, and how it comes.

    Attributes:
        fact: without an origin.
        arrives: when it comes, in milliseconds since the epoch.
        partition: of `callbacks`, which it comes by.
        is_late: whether it comes when the watermark has long passed it.
    """

    fact: CallFact
    arrives: int
    partition: int
    is_late: bool = False


def _call(
    random: Random,
    at: int,
    number: str,
    disposition: Disposition,
    *,
    contact: str | None = None,
    talk: int = 60,
    ring: int = 20,
    silent: bool | None = None,
    reached: bool | None = None,
    **fields: Any,
) -> list[CallFact]:
    """One call that is placed and ends."""
    fields = {
        "call_sid": f"CA{at}",
        "number": number,
        "contact": random.choice(MANY) if contact is None else contact,
        "campaign": CAMPAIGN_OF[number],
        **fields,
    }
    end = at + random.randint(5, 90) * SECOND
    after = Contribution(at, end, disposition, talk, ring, silent, reached)
    ended = facts.make_fact(FactKind.ENDED, end, after, **(fields | {"before": Contribution(at)}))
    return [facts.placed(at, **fields), ended]


def blocked(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Blocked by the carrier, or not answered."""
    hit = bad or random.random() < 0.02
    return _call(random, at, number, Disposition.BLOCKED if hit else Disposition.NO_ANSWER, sip_code=603)


def invalid(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """To somebody who does not exist, or does."""
    hit = bad or random.random() < 0.02
    how = Disposition.INVALID if hit else Disposition.NO_ANSWER
    return _call(random, at, number, how, contact=random.choice(FEW), sip_code=404 if hit else None)


def short(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Answered for seconds, or for a minute."""
    return _call(random, at, number, Disposition.HUMAN, talk=3 if bad or random.random() < 0.02 else 60)


def given_up(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Given up by the caller after seconds, or after forty."""
    hit = bad or random.random() < 0.02
    return _call(random, at, number, Disposition.CANCELED, talk=0, ring=random.choice([4, 20]) if hit else 40)


def on_machine(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Dropped on a machine, or with a message left; half of the machines are only found out later."""
    told = _call(random, at, number, Disposition.MACHINE, talk=2 if bad or random.random() < 0.02 else 40)
    if random.random() < 0.5:
        return told
    placed, ended = told
    unknown = msgspec.structs.replace(ended.after, disposition=Disposition.ANSWERED)
    first = msgspec.structs.replace(ended, after=unknown)
    return [placed, first, _revised(first, ended.after)]


def silent(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Answered; of half of them Voice Insights tells later whether anything was heard."""
    told = _call(random, at, number, Disposition.HUMAN, silent=bad or random.random() < 0.02)
    if random.random() < 0.5:
        return told
    placed, ended = told
    first = msgspec.structs.replace(ended, after=msgspec.structs.replace(ended.after, silent=None))
    return [placed, first, _revised(first, ended.after)]


def opting_out(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Answered, and some of those called opt out."""
    told = _call(random, at, number, Disposition.HUMAN)
    if bad:
        signal = {"number": number, "campaign": CAMPAIGN_OF[number], "direction": Direction.UNKNOWN}
        told.append(facts.make_fact(FactKind.OPTED_OUT, at + MINUTE, Contribution(at + MINUTE), **signal))
    return told


def answered(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Answered by four in five, or by nobody."""
    hit = not bad and random.random() < 0.8
    return _call(random, at, number, Disposition.HUMAN if hit else Disposition.NO_ANSWER)


def new(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:  # noqa: ARG001 - a new number is too busy as it is
    """By a number and a campaign that began today."""
    registration = NumberRegistration(registered=True, since=START, campaign_since=START)
    return _call(random, at, number, Disposition.HUMAN, registration=registration)


def mixing(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """For one purpose, or for two in turn."""
    return _for_purpose(random, at, number, "survey" if bad and random.random() < 0.5 else "sales")


def turning(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """For one purpose, or from now on for another."""
    return _for_purpose(random, at, number, "survey" if bad else "sales")


def _for_purpose(random: Random, at: int, number: str, purpose: str) -> list[CallFact]:
    registration = NumberRegistration(registered=True, purpose=purpose)
    return _call(random, at, number, Disposition.HUMAN, campaign=f"about-{purpose}", registration=registration)


def signed(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """With the attestation A, or B."""
    return _call(random, at, number, Disposition.HUMAN, stir_status=random.choice("BC") if bad else "A")


def registered(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """From a number that the register knows, or not."""
    return _call(random, at, number, Disposition.HUMAN, registration=NumberRegistration(registered=not bad))


def neighboring(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """From the exchange of the person called, or from any."""
    exchange = number[:8] if bad else random.choice(NUMBERS)[:8]
    return _call(random, at, number, Disposition.HUMAN, contact=f"{exchange}{random.randint(0, 9_999):04}")[:1]


def abandoned(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Answered by a person who never reached an agent, or did; for half of them that is told later."""
    told = _call(random, at, number, Disposition.HUMAN, reached=not bad)
    if random.random() < 0.5:
        return told
    placed, ended = told
    first = msgspec.structs.replace(ended, after=msgspec.structs.replace(ended.after, reached_agent=None))
    return [placed, first, _revised(first, ended.after)]


def watched(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """Placed; what never comes of it is told hours later."""
    placed, ended = _call(random, at, number, Disposition.HUMAN, missing_callbacks=0)
    closed = at + 4 * HOUR
    if not bad:
        return [placed]
    if random.random() < 0.5:
        after = Contribution(at, closed, Disposition.UNFINISHED)
        return [placed, msgspec.structs.replace(ended, at=closed, after=after)]
    gaps = msgspec.structs.replace(ended, fact=FactKind.REVISED, at=closed, before=ended.after, missing_callbacks=1)
    return [placed, gaps]


def anybody(random: Random, at: int, bad: bool, number: str) -> list[CallFact]:
    """To one of many people; the same few again and again where it is bad."""
    return _call(random, at, number, Disposition.HUMAN, contact=random.choice(FEW) if bad else None)[:1]


def _revised(ended: CallFact, after: Contribution) -> CallFact:
    return msgspec.structs.replace(ended, fact=FactKind.REVISED, revision=2, before=ended.after, after=after)


def calls_of(traffic: Traffic, random: Random) -> Iterator[list[CallFact]]:
    """The facts of call after call, and the ticks of a silence."""
    at = START
    for phase, calls in enumerate(traffic.phases):
        step = traffic.bad_step if phase == 3 and traffic.bad_step is not None else traffic.step
        for _ in range(calls):
            at += random.randint(step // 2, step + step // 2)
            number = random.choice(traffic.fleet if phase == 3 else NUMBERS)
            yield traffic.call(random, at, phase == 3 or (phase == 1 and number == NUMBERS[0]), number)
        if phase == 3:
            for tick in range(at + MINUTE, at + traffic.silence, 10 * MINUTE):
                quiet = {"number": "", "contact": "", "campaign": "", "direction": Direction.UNKNOWN}
                for _ in range(PARTITIONS):
                    yield [facts.make_fact(FactKind.QUIET, tick, Contribution(tick), **quiet)]
            at += traffic.silence


def arriving(calls: Sequence[Sequence[CallFact]], random: Random, *, delay: int, far: float = 0.0) -> list[Fact]:
    """The facts of calls as they come: those of one call in their order and by one partition.

    Args:
        calls: the facts of each.
        random: decides how late each comes.
        delay: the longest, in milliseconds.
        far: the share of facts that come later still, by up to 20 minutes.
    """
    told: list[Fact] = []
    for place, call in enumerate(calls):
        arrives = 0
        for fact in call:
            late = random.randint(delay, 20 * MINUTE) if random.random() < far else random.randint(0, delay)
            arrives = max(arrives + 1, fact.at + (0 if fact.fact is FactKind.QUIET else late))
            told.append(Fact(fact, arrives, place % PARTITIONS))
    return sorted(told, key=lambda one: (one.arrives, one.fact.call_sid))


def with_late_calls(traffic: Traffic, told: Sequence[Fact], topic: Topic, random: Random) -> list[Fact]:
    """Put bad calls in between that come when the watermark of their subject has passed them by the lateness."""
    key_of = KEY_OF[topic.name]
    watermarks: dict[tuple[str, int], int] = {}
    mixed: list[Fact] = []
    for one in told:
        mixed.append(one)
        if one.fact.fact not in _NO_CALLS:
            where = key_of(one.fact), one.partition
            watermarks[where] = max(watermarks.get(where, 0), one.fact.at)
        if random.random() > 0.2:
            continue
        began = one.fact.at - random.choice([10 * MINUTE, 4 * HOUR, 2 * DAY])
        for fact in traffic.call(random, began, True, random.choice(NUMBERS)):
            floor = watermarks.get((key_of(fact), one.partition), 0) - LATENESS
            moved = [at for at, _, _ in changes(fact.before, fact.after)]
            # Without counts to move there is nothing to be late for, but for people, who have no counts.
            counts = fact.fact not in _NO_CALLS and (moved or topic is CONTACTS)
            if counts and max(fact.at, *moved) < floor:
                mixed.append(Fact(fact, one.arrives, one.partition, is_late=True))
    return mixed


def laid(told: Sequence[Fact], topic: Topic) -> list[Record]:
    """Lay facts into a topic in this order; their origins ascend by partition."""
    records = []
    for place, one in enumerate(told):
        # Opt-outs come from another topic, and have partitions below zero.
        partition = -1 if one.fact.fact is FactKind.OPTED_OUT else one.partition
        fact = msgspec.structs.replace(one.fact, origin=Origin(partition, place, 0))
        records.append(Record(topic.name, 0, place, one.arrives, KEY_OF[topic.name](fact).encode(), fact.encode()))
    return records


def signals(random: Random) -> list[Record]:
    """People opt out and in again, by several channels; some of it is told twice, some of it by lists."""
    laid_signals = []
    for place in range(120):
        at = START + place * MINUTE
        listed = random.random() < 0.2
        signal = OptOut(
            contact=random.choice(FEW),
            opted_out=random.random() < 0.6,
            source=OptOutSource.DO_NOT_CALL_LIST if listed else random.choice(list(OptOutSource)[:4]),
            channel=random.choice([Channel.MESSAGING, Channel.MESSAGING, Channel.VOICE]),
            at=at,
            campaign=random.choice([None, "spring-sale", "renewals"]),
            sid=None if listed else random.choice([None, f"SM{random.randint(0, 60)}"]),
            said="national" if listed else "STOP",
        )
        laid_signals.append(Record(OPTOUTS.name, 0, place, at, signal.contact.encode(), signal.encode()))
    return laid_signals
