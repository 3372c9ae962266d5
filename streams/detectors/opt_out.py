"""The rule `opt_out`: a person asked not to be called again."""

from __future__ import annotations

from typing import Self

import msgspec

from schemas.alert import Alert, AlertState, Evidence, Subject, SubjectKind, alert_id
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.rules import OptOutRule
from schemas.suppression import Suppression
from schemas.times import to_iso
from streams.detectors.finding import NOTHING, Finding, Lifted
from streams.windows.packing import pack, unpack

VERSION = 1

RULE = "opt_out"

SOURCE = "47 CFR 64.1200(a)(10) and (d): a request not to be called is honoured by any reasonable means it is made."
WHAT_TO_DO = "Do not call or text the person; take them off every campaign's list."


LISTED = "do_not_call_list"
"""The scope of the suppression of a person who is on a list: it stands beside that of an opt-out of their own."""

LISTED_WHAT_TO_DO = "Do not call the person for any campaign that the list is about."


class _State(msgspec.Struct, array_like=True):
    channels: list[str] = msgspec.field(default_factory=list)
    run: int = 0
    sequence: int = 0
    since: int | None = None
    opt_outs: int = 0
    opt_ins: int = 0
    sids: list[str] = msgspec.field(default_factory=list)
    lists: dict[str, int] = msgspec.field(default_factory=dict)


LISTS_KEPT = 32
"""Do-not-call lists remembered of a person; a company keeps a handful."""

SIDS_KEPT = 32
"""Messages and calls remembered: Event Streams repeat for four hours, and nobody writes more in them."""

_decoder = msgspec.msgpack.Decoder(_State)


class ContactOptOut:
    """Whether one person may be called. Decided on the raw signal; nothing is learned and nothing has to add up.

    The first opt-out on any channel fires and suppresses the person for good. Further ones are counted. Opting back
    in to messages takes off the messaging channel only, wherever it was said; when no channel is left, the alert is
    resolved and the suppression lifted. A message that is told again (by Event Streams, or by another endpoint) does
    nothing.

    A person on a do-not-call list is suppressed without an alert, as a list of a million would be a million alerts.
    That never ends by itself, and an opt-out of the person's own fires all the same.

    Args:
        settings: the rule's settings.
        contact: the person.
    """

    __slots__ = ("contact", "settings", "state", "subject")

    def __init__(self, settings: OptOutRule, contact: str) -> None:
        self.settings = settings
        self.contact = contact
        self.subject = Subject(SubjectKind.CONTACT, contact)
        self.state = _State()

    def update(self, opt_out: OptOut) -> list[Finding]:
        """Take in one signal, in the order of the log."""
        if not self.settings.enabled:
            return NOTHING
        if opt_out.source is OptOutSource.DO_NOT_CALL_LIST:
            return self._listed(opt_out) if opt_out.opted_out else self._unlisted(opt_out)
        if self._is_repeated(opt_out):
            return NOTHING
        return self._opt_out(opt_out) if opt_out.opted_out else self._opt_in(opt_out)

    @property
    def is_untouched(self) -> bool:
        """Whether nothing is known of the person."""
        return self.state == _State()

    def describe(self) -> dict[str, object]:
        """The state as the API shows it: `firing` while opted out; `lists` says since when the person is on which."""
        state = self.state
        word = "off" if not self.settings.enabled else "firing" if state.channels else "ok"
        return {
            "state": word,
            "channels": list(state.channels),
            "since": None if state.since is None else to_iso(state.since),
            "opt_outs": state.opt_outs,
            "opt_ins": state.opt_ins,
            "alert_id": alert_id(RULE, self.subject, state.run) if state.channels else None,
            "lists": {name: to_iso(at) for name, at in state.lists.items()},
        }

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(VERSION, self.state)

    @classmethod
    def from_bytes(cls, data: bytes, settings: OptOutRule, contact: str) -> Self:
        """The state from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        contact_state = cls(settings, contact)
        contact_state.state = unpack(VERSION, _decoder, data, "opt-out of a contact")
        return contact_state

    def _is_repeated(self, opt_out: OptOut) -> bool:
        """Whether the message was taken in before; a START told again must not undo the STOP that came after it."""
        if opt_out.sid is None:
            return False
        sid = f"{opt_out.sid}:{opt_out.opted_out:d}"
        if sid in self.state.sids:
            return True
        self.state.sids = [*self.state.sids[1 - SIDS_KEPT :], sid]
        return False

    def _listed(self, opt_out: OptOut) -> list[Finding]:
        lists = self.state.lists
        # A list that is imported again says nothing new.
        if opt_out.said in lists or len(lists) == LISTS_KEPT:
            return NOTHING
        self.state.lists = dict(sorted([*lists.items(), (opt_out.said, opt_out.at)]))
        if lists:
            return NOTHING
        listed_at = to_iso(opt_out.at)
        evidence: Evidence = {
            "signal": opt_out.source.value,
            "list": opt_out.said,
            "listed_at": listed_at,
            "endpoint": opt_out.endpoint,
            "source": SOURCE,
            "what_to_do": LISTED_WHAT_TO_DO,
        }
        return [
            Suppression(
                subject=self.subject,
                rule=RULE,
                alert_id="",
                at=opt_out.at,
                until=None,
                reason=f"{self.contact} is on the do-not-call list {opt_out.said} of {listed_at[:10]}.",
                evidence=evidence,
                scope=LISTED,
            )
        ]

    def _unlisted(self, opt_out: OptOut) -> list[Finding]:
        before = self.state.lists
        self.state.lists = {name: at for name, at in before.items() if name != opt_out.said}
        return [Lifted(self.subject, RULE, LISTED)] if before and not self.state.lists else NOTHING

    def _opt_out(self, opt_out: OptOut) -> list[Finding]:
        state = self.state
        state.opt_outs += 1
        first = not state.channels
        if opt_out.channel not in state.channels:
            state.channels = sorted([*state.channels, opt_out.channel.value])
        if not first:
            return NOTHING
        state.run += 1
        state.sequence = 1
        state.since = opt_out.at
        message = f"{self.contact} asked not to be called again ({opt_out.source.value}, {opt_out.channel.value})."
        alert = self._alert(opt_out, AlertState.FIRING, message)
        suppression = Suppression(
            subject=self.subject,
            rule=RULE,
            alert_id=alert.alert_id,
            at=opt_out.at,
            until=None,
            reason=message,
            evidence=alert.evidence,
        )
        return [alert, suppression]

    def _opt_in(self, opt_out: OptOut) -> list[Finding]:
        state = self.state
        state.opt_ins += 1
        if Channel.MESSAGING not in state.channels:
            return NOTHING
        state.channels = [channel for channel in state.channels if channel != Channel.MESSAGING]
        if state.channels:
            return NOTHING
        state.sequence += 1
        resolved = self._alert(opt_out, AlertState.RESOLVED, f"{self.contact} opted back in.")
        state.since = None
        return [resolved, Lifted(self.subject, RULE)]

    def _alert(self, opt_out: OptOut, kind: AlertState, message: str) -> Alert:
        state = self.state
        evidence: Evidence = {
            "signal": opt_out.source.value,
            "channel": opt_out.channel.value,
            "said": opt_out.said,
            "number": opt_out.number,
            "campaign": opt_out.campaign,
            "sid": opt_out.sid,
            "endpoint": opt_out.endpoint,
            "opt_outs": state.opt_outs,
            "source": SOURCE,
            "what_to_do": WHAT_TO_DO,
        }
        return Alert(
            alert_id=alert_id(RULE, self.subject, state.run),
            sequence=state.sequence,
            rule=RULE,
            subject=self.subject,
            state=kind,
            severity=self.settings.severity,
            at=opt_out.at,
            since=opt_out.at if state.since is None else state.since,
            evidence=evidence,
            message=message,
        )
