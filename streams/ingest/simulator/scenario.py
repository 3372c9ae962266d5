"""What a simulation is told: fleet, traffic, transport and what goes wrong. Times count back from the end."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.times import DAY
from streams.ingest.simulator.faults import Attempts, Fault
from streams.ingest.simulator.truth import Companion

# An attestation for each number; the shares sum to 1. A well-kept fleet is signed A.
_SIGNED_A = (("A", 1.0),)


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign and its numbers.

    Attributes:
        name: as in the callback URL.
        numbers: how many numbers call for it.
        calls_per_day: calls of a number on a weekday.
        answer_rate: answers per seizure on an ordinary hour.
        machine_share: answering machines among the answers.
        completed_only: how many of its numbers subscribe to `completed` alone, Twilio's default.
        purpose: what it calls for, as the register has it.
        agents: whether people who answer are put through to agents by a `<Dial>`, which tells of it.
        insights: whether Voice Insights sends a summary of each call.
        neighbors: whether its numbers lie in areas and exchanges of the people it calls.
    """

    name: str
    numbers: int
    calls_per_day: float
    answer_rate: float
    machine_share: float = 0.45
    completed_only: int = 1
    purpose: str = "telemarketing"
    agents: bool = False
    insights: bool = False
    neighbors: bool = False


class Collapse(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a number or campaign are answered far less, because phones label or block them.

    Attributes:
        campaign: the campaign's place among the scenario's.
        number: a number's place in the campaign, before the seed turns it; None is the whole campaign.
        starts: how long before the end it begins, in milliseconds.
        ends: how long before the end it is over, in milliseconds; None if it lasts.
        odds: what the odds of an answer are multiplied by.
        also: what may come with it.
    """

    campaign: int
    number: int | None
    starts: int
    ends: int | None = None
    odds: float = 0.2
    also: tuple[Companion, ...] = ()


class Spike(msgspec.Struct, frozen=True, kw_only=True):
    """A number or campaign calls far more than it should; fields as in `Collapse`, `factor` multiplies the volume."""

    campaign: int
    number: int | None
    starts: int
    ends: int | None
    factor: float
    also: tuple[Companion, ...] = ()


class Signal(StrEnum):
    """How a person says stop."""

    OPT_OUT_TYPE = "opt_out_type"
    STOP_WORD = "stop_word"
    DTMF = "dtmf"
    SPEECH = "speech"


class OptOut(msgspec.Struct, frozen=True, kw_only=True):
    """A person whom a number has called says stop, by message or on a call; fields as in `Collapse`."""

    campaign: int
    number: int
    starts: int
    signal: Signal


class Transport(msgspec.Struct, frozen=True, kw_only=True):
    """What the way from Twilio to the gateway does to a callback.

    Attributes:
        loss_share: callbacks that never come.
        duplicate_share: callbacks that come again, by a retry after a lost answer.
        slow_share: callbacks that take between 2 and `slow_seconds` seconds; the others take 0.2 to 2.
        slow_seconds: the longest a callback takes.
    """

    loss_share: float = 0.002
    duplicate_share: float = 0.01
    slow_share: float = 0.02
    slow_seconds: float = 40.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """All that makes a simulation, apart from its seed and its end.

    Attributes:
        name: as on the command line.
        description: one line.
        campaigns: the fleet.
        account_sid: the account that every call belongs to.
        past: ordinary traffic before the stretch, to learn from, in milliseconds.
        stretch: the last part, in which incidents lie, in milliseconds.
        end_of_week_hour: the hour of the week (0 is Monday 00:00 UTC) that traffic takes the end for, so that a demo
            at night sees a working day; None takes the hours as they are.
        contacts_per_number: people a number calls in turn.
        volume_variation: standard deviation of a campaign's level of volume from day to day, as a share.
        number_variation: the same of a number's own level, drawn once.
        answer_noise: standard deviation of a campaign's log odds of an answer from day to day.
        number_answer_noise: the same of a number's own, beside its campaign's.
        number_answer_effect: standard deviation of the log odds between numbers, drawn once.
        detection_share: calls with answering machine detection.
        asynchronous_share: of those, calls whose verdict comes as a request of its own.
        cancel_share: calls that the dialer cancels while they ring.
        unplaced_share: calls that fail before they leave Twilio.
        short_share: calls answered by a person that end within 10 seconds.
        abandoned_share: people who answer and reach no agent, of campaigns that have agents.
        silent_share: answered calls on which Voice Insights hears silence.
        opt_out_share: people who answer and say stop, by key.
        stir_statuses: attestations with their shares of the numbers: A, B, or the text null.
        transport: what happens on the way.
        collapses: injected falls of the answer rate.
        spikes: injected jumps of the volume.
        opt_outs: injected opt-outs.
        faults: whatever else goes wrong with a number's or campaign's calls.
        attempts: people who are called when they should not be.
        false_alarms: alerts that chance may raise, by what the rules' settings promise.
    """

    name: str
    description: str
    campaigns: tuple[Campaign, ...]
    account_sid: str = "AC5ca1ab1e0000000000000000000000aa"
    past: int = 8 * DAY
    stretch: int = 3 * DAY
    end_of_week_hour: int | None = None
    contacts_per_number: int = 500
    volume_variation: float = 0.08
    number_variation: float = 0.05
    answer_noise: float = 0.05
    number_answer_noise: float = 0.03
    number_answer_effect: float = 0.08
    detection_share: float = 0.8
    asynchronous_share: float = 0.3
    cancel_share: float = 0.02
    unplaced_share: float = 0.005
    short_share: float = 0.06
    abandoned_share: float = 0.01
    silent_share: float = 0.01
    opt_out_share: float = 0.0
    stir_statuses: tuple[tuple[str, float], ...] = _SIGNED_A
    transport: Transport = Transport()
    collapses: tuple[Collapse, ...] = ()
    spikes: tuple[Spike, ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    faults: tuple[Fault, ...] = ()
    attempts: tuple[Attempts, ...] = ()
    false_alarms: int = 0
