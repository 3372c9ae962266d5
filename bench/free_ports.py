"""Ports that are free, and stay free while their owner is down."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

_LOOPBACK = "127.0.0.1"
# Below lie the ports that services are known by.
_LOWEST = 15_000
_TRIES = 100
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
# What IANA reserves for outgoing connections, and what other systems than Linux use.
_FIRST_OUTGOING = 49_152


def free_ports(count: int) -> list[int]:
    """Find free ports on loopback, below those that the system gives to outgoing connections.

    From among those, a client that asks for a server that is down could be given the server's own port, and keep the
    server from coming back.

    Raises:
        RuntimeError: there are not so many.
    """
    with contextlib.ExitStack() as held:
        # All are held until all are found, so that none is found twice.
        return [_bind(held) for _ in range(count)]


def _bind(held: contextlib.ExitStack) -> int:
    highest = _first_outgoing() - 1
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, highest) if highest > _LOWEST else 0
        bound = held.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            bound.bind((_LOOPBACK, port))
            return int(bound.getsockname()[1])
    raise RuntimeError(f"no free port from {_LOWEST} to {highest}")


def _first_outgoing() -> int:
    return int(_OUTGOING.read_text().split()[0]) if _OUTGOING.exists() else _FIRST_OUTGOING
