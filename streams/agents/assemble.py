"""Assembly: callbacks in, facts about calls out, each counted once.

The stage keeps one state per CallSid and one per partition. The partition's state is written last: it says up to which
offset all is done, and what the watermark was there, so that a replay after a crash closes the same calls at the same
callbacks. A call's own state may be ahead of it; its own offset makes the replay a no-op.
"""

from __future__ import annotations

import heapq
from collections.abc import MutableMapping, Sequence
from typing import Final

import msgspec

from schemas.call import ANSWERS, CallFact, Contribution, Direction, Disposition, FactKind, Origin
from schemas.callback import Callback, CallbackKind
from schemas.log import NewRecord, Record
from schemas.settings import Assembly
from schemas.times import DAY, HOUR, MINUTE
from schemas.topics import ACCOUNTS, CALLBACKS, CALLS, CAMPAIGNS, CONTACTS, Topic
from schemas.wire import UnreadableRecordError
from streams.agents.call import Known, Reading, campaign_of, event_time, merge, missing_callbacks, read
from streams.agents.stage import CACHED_STATES, Effects, StateChange, States, apply_each
from streams.windows.packing import pack, unpack

_VERSION: Final = 1
_PARTITION_KEY: Final = b"p"
_CALL_KEY: Final = b"c"
# Twilio ends a call after 24 hours at the latest; one that was closed as silent may still tell of its end until then.
_LONGEST_CALL: Final = 24 * HOUR

# An account that was silent for longer rests, or is gone: its silence is nothing to tell.
_REST_OF_ACCOUNT: Final = 8 * DAY
# A company with subaccounts has some dozens; more would be somebody's play with the state's size.
_MOST_ACCOUNTS: Final = 256


class CallState(msgspec.Struct, gc=False, array_like=True):
    """What is kept of a call between its callbacks.

    Attributes:
        partition: of `callbacks`, which its CallSid hashes to.
        applied: offset of the last callback applied to it.
        counted: whether windows and rules count the leg; None until the first fact decides.
        revision: of the last fact; -1 before the first.
        told: the call as the last fact told it; None before the first.
        campaign: the campaign that the first fact named, which all later ones name too.
    """

    partition: int = 0
    applied: int = -1
    known: Known = msgspec.field(default_factory=Known)
    counted: bool | None = None
    revision: int = -1
    ended: bool = False
    told: Reading | None = None
    campaign: str | None = None


class PartitionState(msgspec.Struct, array_like=True):
    """How far a partition of `callbacks` has been worked off, and its watermark there.

    Attributes:
        applied: offset of the last callback applied.
        watermark: the highest event time seen.
        accounts: the accounts whose calls came by it, with the event time of the last; those that rest are forgotten.
    """

    applied: int = -1
    watermark: int = 0
    accounts: dict[str, int] = {}


class _Skimmed(Callback, frozen=True, kw_only=True):
    """A callback whose parameters stay JSON: decoding some thirty of them costs more than all that assembly does."""

    params: msgspec.Raw  # type: ignore[assignment]  # read by nobody but `_moves_the_watermark`


_params_decoder = msgspec.json.Decoder(dict[str, object])
_call_decoder = msgspec.msgpack.Decoder(CallState)
_partition_decoder = msgspec.msgpack.Decoder(PartitionState)


def _skim(data: bytes) -> _Skimmed:
    try:
        return _Skimmed.decode(data)
    except UnreadableRecordError:
        # The reason goes to the dead letters, in the name of the record that it should have been.
        Callback.decode(data)
        raise


def _moves_the_watermark(callback: _Skimmed) -> bool:
    """Whether a callback tells how late it is.

    Ticks do, and status callbacks: by Twilio's time, or by their receipt where they carry none. One whose time could
    not be used may have met a wrong clock here, and other requests carry no time of Twilio's at all.
    """
    if callback.kind is not CallbackKind.STATUS:
        return callback.kind is CallbackKind.TICK
    return callback.happened_at is not None or "Timestamp" not in _params_decoder.decode(callback.params)


def _read_call(packed: bytes) -> CallState:
    return unpack(_VERSION, _call_decoder, packed, "state of a call")


def _read_partition(packed: bytes) -> PartitionState:
    return unpack(_VERSION, _partition_decoder, packed, "state of a partition of callbacks")


class AssembleStage:
    """Assemble calls from callbacks.

    Args:
        settings: timeouts, and which legs count.
        data: the table's data.
        cached: decoded calls kept after a slice at most.
    """

    name = "calls-in-progress"
    sources: tuple[Topic, ...] = (CALLBACKS,)

    def __init__(self, settings: Assembly, data: MutableMapping[bytes, bytes], cached: int = CACHED_STATES) -> None:
        self._call_timeout = round(settings.call_timeout_hours * HOUR)
        self._remember = round(settings.remember_minutes * MINUTE)
        self._count_child_legs = settings.count_child_legs
        self._data = data
        self._calls: States[CallState] = States(
            data,
            decode=lambda _key, packed: _read_call(packed),
            encode=lambda state: pack(_VERSION, state),
            create=lambda _key: CallState(),
            cached=cached,
        )
        self._partitions: dict[int, PartitionState] = {}
        self._deadlines: dict[int, list[tuple[int, bytes]]] | None = None
        self._emissions: list[NewRecord] = []

    def forget(self) -> None:
        """Drop what was derived from the table's data."""
        self._calls.abandon()
        self._partitions.clear()
        self._deadlines = None

    def process(self, records: Sequence[Record]) -> Effects:
        """Apply callbacks of one partition, in order of offset."""
        if not records:
            return Effects()
        number = records[0].partition
        partition = self._partition(number)
        position = PartitionState(partition.applied, partition.watermark, dict(partition.accounts))
        deadlines = self._deadlines_of(number)
        emissions = apply_each(records, lambda record: self._apply_record(record, position, deadlines), self.forget)
        changes, removals = self._calls.flush(number)
        self._partitions[number] = position
        packed = pack(_VERSION, position)
        key = _PARTITION_KEY + str(number).encode()
        self._data[key] = packed
        return Effects(emissions, [*changes, StateChange(number, key, packed), *removals])

    def _apply_record(
        self, record: Record, position: PartitionState, deadlines: list[tuple[int, bytes]]
    ) -> list[NewRecord]:
        if record.offset <= position.applied:
            return []
        self._emissions = []
        callback = _skim(record.value or b"")
        if _moves_the_watermark(callback):
            position.watermark = max(position.watermark, event_time(callback))
        index = self._close_silent(record, position.watermark, deadlines)
        if callback.kind is CallbackKind.TICK:
            self._tell_quiet(position, record, index)
        else:
            if callback.kind is CallbackKind.STATUS:
                _note_account(position.accounts, callback.account_sid, position.watermark)
            origin = Origin(record.partition, record.offset, index)
            self._apply(callback, origin, record, position.watermark, deadlines)
        position.applied = record.offset
        return self._emissions

    def _tell_quiet(self, position: PartitionState, record: Record, index: int) -> None:
        """Tell the accounts that nothing came up to now; whether that means anything is theirs to know."""
        at = position.watermark
        # In order of name, so that what is told does not depend on what came first.
        position.accounts = {
            account: last for account, last in sorted(position.accounts.items()) if last > at - _REST_OF_ACCOUNT
        }
        for place, account in enumerate(position.accounts, index):
            fact = CallFact(
                fact=FactKind.QUIET,
                revision=0,
                origin=Origin(record.partition, record.offset, place),
                at=at,
                call_sid="",
                account_sid=account,
                number="",
                contact="",
                campaign="",
                direction=Direction.UNKNOWN,
                counted=True,
                after=Contribution(attempted_at=at),
            )
            self._emissions.append(
                NewRecord(ACCOUNTS.name, account.encode(), fact.encode(), timestamp=record.timestamp)
            )

    def _partition(self, number: int) -> PartitionState:
        found = self._partitions.get(number)
        if found is None:
            packed = self._data.get(_PARTITION_KEY + str(number).encode())
            found = PartitionState() if packed is None else _read_partition(packed)
            self._partitions[number] = found
        return found

    def _deadlines_of(self, number: int) -> list[tuple[int, bytes]]:
        if self._deadlines is None:
            self._deadlines = {}
            for key, packed in self._data.items():
                if not key.startswith(_PARTITION_KEY):
                    state = _read_call(packed)
                    self._deadlines.setdefault(state.partition, []).append((self._deadline(state), key))
            for heap in self._deadlines.values():
                heapq.heapify(heap)
        return self._deadlines.setdefault(number, [])

    def _deadline(self, state: CallState) -> int:
        known = state.known
        if known.closed_at is not None:
            return max(known.closed_at, known.last_at) + max(self._remember, _LONGEST_CALL)
        return known.last_at + (self._remember if state.ended else self._call_timeout)

    def _close_silent(self, record: Record, watermark: int, deadlines: list[tuple[int, bytes]]) -> int:
        """Close or forget the calls whose time has come at this record; give the next free index of its facts."""
        if not deadlines or deadlines[0][0] > watermark:
            return 0
        later, due_now = [], []
        while deadlines and deadlines[0][0] <= watermark:
            _, key = heapq.heappop(deadlines)
            state = self._calls.get(key)
            if state is None:
                continue
            due = self._deadline(state)
            if due > watermark or state.applied >= record.offset:
                later.append((due, key))
            else:
                due_now.append((due, key))
        index = 0
        # The heap's order depends on what was pushed when; the order of closings must not.
        for due, key in sorted(set(due_now)):
            state = self._calls.get(key)
            assert state is not None
            if state.ended or state.told is None:
                index = self._tell_missing(key, state, due, record, index)
                self._calls.remove(key)
            else:
                index = self._close(key, due, record, index)
                later.append((self._deadline(state), key))
        for entry in later:
            heapq.heappush(deadlines, entry)
        return index

    def _close(self, key: bytes, due: int, record: Record, index: int) -> int:
        state = self._calls.touch(key)
        state.applied = record.offset
        state.known.closed_at = due
        origin = Origin(record.partition, record.offset, index)
        return self._tell(key.removeprefix(_CALL_KEY).decode(), state, origin, record.timestamp)

    def _tell_missing(self, key: bytes, state: CallState, due: int, record: Record, index: int) -> int:
        """Tell the account of callbacks that never came, now that none is waited for; give the next free index."""
        missing = missing_callbacks(state.known)
        if not missing or not state.counted or state.told is None:
            return index
        self._calls.touch(key)
        state.revision += 1
        call_sid, told = key.removeprefix(_CALL_KEY).decode(), state.told
        origin = Origin(record.partition, record.offset, index)
        fact = self._fact(call_sid, state, FactKind.REVISED, origin, told.contribution, told)
        # A call that was closed as silent is waited for a day longer; being rare, it is no measure for all others.
        at = due if state.known.closed_at is None else fact.at
        value = msgspec.structs.replace(fact, at=at, missing_callbacks=missing).encode()
        self._emissions.append(NewRecord(ACCOUNTS.name, fact.account_sid.encode(), value, timestamp=record.timestamp))
        # The call is forgotten, but after a crash before that it comes due once more, and must not tell of it again.
        state.applied = record.offset
        state.known.sequences = 0
        return index + 1

    def _apply(
        self,
        callback: Callback,
        origin: Origin,
        record: Record,
        watermark: int,
        deadlines: list[tuple[int, bytes]],
    ) -> None:
        key = _CALL_KEY + callback.call_sid.encode()
        before = self._calls.get(key)
        if before is not None and before.applied >= record.offset:
            return
        state = self._calls.touch(key)
        if before is None:
            state.partition = record.partition
            if event_time(callback) <= watermark - self._remember:
                # Its call may have been counted and forgotten; the history takes it, the windows must not.
                state.counted = False
        state.applied = record.offset
        merge(state.known, callback)
        if before is None or state.known.closed_at is not None:
            heapq.heappush(deadlines, (self._deadline(state), key))
        was_ended = state.ended
        self._tell(callback.call_sid, state, origin, record.timestamp)
        if state.ended and not was_ended:
            # The deadline moved closer: from the call's timeout to the time an ended call is kept.
            heapq.heappush(deadlines, (self._deadline(state), key))

    def _tell(self, call_sid: str, state: CallState, origin: Origin, timestamp: int) -> int:
        """Emit the facts that the call's present reading adds to the last one; give the next free index."""
        known = state.known
        if known.first_at is None or known.number is None:
            return origin.index
        told = state.told
        goes_on = known.terminal is None and known.closed_at is None
        if goes_on and told is not None and told.contribution.attempted_at == known.first_at:
            # A call that goes on has only its attempt to tell of, and most callbacks leave that as it is.
            return origin.index
        reading = read(known)
        if state.counted is None:
            state.counted = self._counts(known)
        index = origin.index
        if told is None:
            told = _as_placed(reading, Contribution(attempted_at=known.first_at))
            self._emit(call_sid, state, FactKind.PLACED, origin, None, told, timestamp)
            index += 1
        has_ended = reading.contribution.disposition is not None
        if has_ended and not state.ended:
            state.ended = True
            where = Origin(origin.partition, origin.offset, index)
            self._emit(call_sid, state, FactKind.ENDED, where, told.contribution, reading, timestamp)
            told = reading
            index += 1
        elif reading.contribution != told.contribution or (state.ended and reading != told):
            where = Origin(origin.partition, origin.offset, index)
            self._emit(call_sid, state, FactKind.REVISED, where, told.contribution, reading, timestamp)
            told = reading
            index += 1
        state.told = told
        return index

    def _counts(self, known: Known) -> bool:
        if known.direction is Direction.OUTBOUND_API:
            return known.parent_call_sid is None or self._count_child_legs
        return known.direction is Direction.OUTBOUND_DIAL and self._count_child_legs

    def _emit(
        self,
        call_sid: str,
        state: CallState,
        kind: FactKind,
        origin: Origin,
        before: Contribution | None,
        reading: Reading,
        timestamp: int,
    ) -> None:
        state.revision += 1
        fact = self._fact(call_sid, state, kind, origin, before, reading)
        contribution = reading.contribution
        value = fact.encode()
        emit = self._emissions.append
        emit(NewRecord(CALLS.name, fact.number.encode(), value, timestamp=timestamp))
        if not state.counted:
            return
        emit(NewRecord(CAMPAIGNS.name, fact.campaign.encode(), value, timestamp=timestamp))
        moved = before is None or before.attempted_at != contribution.attempted_at
        if moved or (kind is FactKind.ENDED and contribution.disposition is Disposition.UNFINISHED):
            emit(NewRecord(ACCOUNTS.name, fact.account_sid.encode(), value, timestamp=timestamp))
        if fact.contact and (kind is FactKind.PLACED or _concerns_contact(kind, before, contribution)):
            emit(NewRecord(CONTACTS.name, fact.contact.encode(), value, timestamp=timestamp))

    @staticmethod
    def _fact(
        call_sid: str, state: CallState, kind: FactKind, origin: Origin, before: Contribution | None, reading: Reading
    ) -> CallFact:
        known = state.known
        assert known.number is not None
        assert state.counted is not None
        if state.campaign is None:
            state.campaign = campaign_of(known)
        campaign = state.campaign
        contribution = reading.contribution
        return CallFact(
            fact=kind,
            revision=state.revision,
            origin=origin,
            at=contribution.attempted_at if contribution.ended_at is None else contribution.ended_at,
            call_sid=call_sid,
            account_sid=known.account_sid,
            number=known.number,
            contact=known.contact or "",
            campaign=campaign,
            direction=known.direction,
            parent_call_sid=known.parent_call_sid,
            counted=state.counted,
            before=before,
            after=contribution,
            status=reading.status,
            answered_by=reading.answered_by,
            sip_code=reading.sip_code,
            stir_status=reading.stir_status,
            placed_at=reading.placed_at,
            answered_at=reading.answered_at,
            ended_at=reading.ended_at,
            ring_seconds=reading.ring_seconds,
            talk_seconds=reading.talk_seconds,
            registration=known.registration,
            contact_details=known.contact_details,
            missing_callbacks=0 if known.sequences else None,
        )


def _concerns_contact(kind: FactKind, before: Contribution | None, after: Contribution) -> bool:
    """Whether a fact tells that the person's number does not exist, or that somebody answered it."""
    if kind is FactKind.ENDED or (before is not None and before.disposition is not after.disposition):
        return after.disposition is Disposition.INVALID or after.disposition in ANSWERS
    return False


def _note_account(accounts: dict[str, int], account: str, at: int) -> None:
    if account not in accounts and len(accounts) >= _MOST_ACCOUNTS:
        del accounts[min(accounts, key=lambda known: (accounts[known], known))]
    accounts[account] = at


def _as_placed(reading: Reading, contribution: Contribution) -> Reading:
    return Reading(
        contribution=contribution,
        status=None,
        answered_by=None,
        sip_code=None,
        stir_status=reading.stir_status,
        placed_at=reading.placed_at,
        answered_at=None,
        ended_at=None,
        ring_seconds=None,
        talk_seconds=None,
    )
