"""The stage of contacts: opt-outs of `optouts`, keyed by the person."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final

import msgspec

from schemas.log import NewRecord, Record
from schemas.opt_out import OptOut
from schemas.settings import Settings
from schemas.topics import OPTOUTS, Topic
from streams.agents.findings import as_records
from streams.agents.stage import Effects, States, apply_each, cached_of
from streams.detectors.opt_out import ContactOptOut
from streams.windows.packing import pack, unpack

_VERSION: Final = 1


class _Packed(msgspec.Struct, array_like=True):
    applied: int
    opt_out: bytes


_decoder = msgspec.msgpack.Decoder(_Packed)


class ContactState:
    """What is kept of one person; opt-outs never expire, so neither does this.

    Args:
        opt_out: the rule's state.
        applied: offset of the last signal applied.
    """

    __slots__ = ("applied", "opt_out")

    def __init__(self, opt_out: ContactOptOut, applied: int = -1) -> None:
        self.opt_out = opt_out
        self.applied = applied

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(_VERSION, _Packed(self.applied, self.opt_out.to_bytes()))


class ContactsStage:
    """Watch for opt-outs.

    Args:
        settings: rules.
        data: the table's data.
    """

    name = "contacts"
    sources: tuple[Topic, ...] = (OPTOUTS,)

    def __init__(self, settings: Settings, data: MutableMapping[bytes, bytes]) -> None:
        rule = settings.rules.opt_out
        self._rule = rule
        self._of_campaign = {name: rule.of_campaign(name) for name in rule.campaigns}

        def decode(key: bytes, packed: bytes) -> ContactState:
            found = unpack(_VERSION, _decoder, packed, f"state of contact {key.decode()}")
            return ContactState(ContactOptOut.from_bytes(found.opt_out, rule, key.decode()), found.applied)

        self._states: States[ContactState] = States(
            data,
            decode=decode,
            encode=ContactState.to_bytes,
            create=lambda key: ContactState(ContactOptOut(rule, key.decode())),
            cached=cached_of(settings.partitions),
        )

    def process(self, records: Sequence[Record]) -> Effects:
        """Apply signals of one partition, in order of offset."""
        if not records:
            return Effects()
        emissions = apply_each(records, self._apply, self.forget)
        changes, _ = self._states.flush(records[0].partition)
        return Effects(emissions, changes)

    def _apply(self, record: Record) -> Iterable[NewRecord]:
        signal = OptOut.decode(record.value or b"")
        state = self._states.touch(signal.contact.encode())
        if record.offset <= state.applied:
            return ()
        state.applied = record.offset
        state.opt_out.settings = self._of_campaign.get(signal.campaign or "", self._rule)
        return as_records(state.opt_out.update(signal), record)

    def forget(self) -> None:
        """Drop what was derived from the table's data."""
        self._states.abandon()
