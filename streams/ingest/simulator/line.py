"""A replay line: one request as it was received."""

from __future__ import annotations

import msgspec

from schemas.times import to_iso

Event = dict[str, object]
"""One CloudEvent."""

_encoder = msgspec.json.Encoder()


class Line(msgspec.Struct, frozen=True):
    """One request of Twilio's.

    Attributes:
        received_at: when it came in, in milliseconds since the epoch.
        path: the path of the callback URL.
        params: Twilio's own keys; every value is a string, blank ones too. Empty for Event Streams.
        events: the CloudEvents of a request of Event Streams; None for all other requests.
    """

    received_at: int
    path: str
    params: dict[str, str]
    events: tuple[Event, ...] | None = None

    def encode(self) -> bytes:
        r"""Write the line as JSON, without a newline.

        >>> Line(1_795_442_401_250, "/twilio/amd", {"CallSid": "CA1"}).encode()
        b'{"received_at":"2026-11-23T14:00:01.250Z","path":"/twilio/amd","params":{"CallSid":"CA1"}}'
        >>> Line(1_795_442_401_250, "/twilio/events", {}, ({"id": "EZ1"},)).encode()
        b'{"received_at":"2026-11-23T14:00:01.250Z","path":"/twilio/events","events":[{"id":"EZ1"}]}'
        """
        said: dict[str, object] = {"params": self.params} if self.events is None else {"events": self.events}
        return _encoder.encode({"received_at": to_iso(self.received_at), "path": self.path, **said})
