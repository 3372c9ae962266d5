from __future__ import annotations

from streams.agents.stage import States


def test_only_so_many_states_stay_decoded() -> None:
    """After a flush the states touched last are kept; the others are read from their bytes again, as they were left."""
    decoded: list[bytes] = []

    def decode(key: bytes, packed: bytes) -> list[int]:
        decoded.append(key)
        return list(packed)

    states: States[list[int]] = States({}, decode=decode, encode=bytes, create=lambda _: [], cached=2)
    for turn in range(2):
        for key in (b"a", b"b", b"c", b"d"):
            states.touch(key).append(turn)
        states.flush(0)
    assert decoded == [b"a", b"b"]
    assert [states.get(key) for key in (b"c", b"d", b"a", b"b")] == [[0, 1]] * 4
    assert decoded == [b"a", b"b", b"a", b"b"]
