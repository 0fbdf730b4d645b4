"""Which of the tiles of a stack's weights may be best together within a room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Option = tuple[int, int, int, int]
"""What a tile takes of the buffer, bits at the array (0 if not asked for), time of it, and its number."""

_State = tuple[int, int, int, list[int]]
"""The sums of some layers' options, and their numbers."""


def fitting(options: Sequence[Sequence[Option]], room: int, *, timed: bool) -> list[list[int]]:
    """The numbers of one option for each layer, layer by layer keeping what no other choice beats.

    Args:
        options: of each layer.
        room: for all of them.
        timed: whether more bits may be made good by less time; else the fewest bits are best, then the least
            time, and there is one answer at most.
    """
    states: list[_State] = [(0, 0, 0, [])]
    kept = _unbeaten if timed else _best
    for some in (kept((r, b, t, [number]) for r, b, t, number in each) for each in options):
        grown = [
            (taken + r, bits + b, time + t, [*chosen, *number])
            for taken, bits, time, chosen in states
            for r, b, t, number in some
            if taken + r <= room
        ]
        states = kept(grown)
    return [state[3] for state in (states if timed else states[-1:])]


def _best(states: Iterable[_State]) -> list[_State]:
    """Those that no other one beats in room, and in bits and then time, by rising room."""
    best: list[_State] = []
    for state in sorted(states):
        if not best or state[1:3] < best[-1][1:3]:
            best.append(state)
    return best


def _unbeaten(states: Iterable[_State]) -> list[_State]:
    """Those that no other one beats in room, bits and time."""
    kept: list[_State] = []
    for state in sorted(states):
        if not any(bits <= state[1] and time <= state[2] for _, bits, time, _ in kept):
            kept.append(state)
    return kept
