"""What was understood of an option, told where it leads to an error."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from dnns.errors import InputError

_ORDERS = {"ifmap": "W H C", "ifmap3d": "W H D C"}


@contextmanager
def shape_echoed(args: argparse.Namespace) -> Iterator[None]:
    """Say at the end of an error how ``--ifmap`` and ``--ifmap3d`` were read, size by size in their order."""
    try:
        yield
    except InputError as error:
        problem = error.problem
        for name, order in _ORDERS.items():
            if (given := getattr(args, name)) is not None:
                read = ", ".join(f"{at} {size}" for at, size in zip(order.split(), given, strict=True))
                problem += f"; --{name} was read as {read} (order: {order})"
        raise InputError(error.file, error.where, problem) from None


_SPELLED = {
    "network": "dnnfile",
    "input": "ifmap",
    "input_3d": "ifmap3d",
    "dims": "dim",
    "objective.kind": "objective",
    "objective.latency": "weights",
    "objective.traffic": "weights",
}


@contextmanager
def option_named(args: argparse.Namespace) -> Iterator[None]:
    """Tell a wrong field that an option gave by that option, as it was typed."""
    from solvers.scenario.faults import FieldError

    try:
        yield
    except FieldError as error:
        raise InputError(_option(args, error.field), "", error.problem) from None


def _option(args: argparse.Namespace, field: str) -> str:
    for text in reversed(getattr(args, "set", ())):
        given = text.partition("=")[0]
        if f"{field}.".startswith(f"{given}.") or field.startswith(f"{given}["):
            return f"--set {field}"
    bare = field.partition("[")[0]
    name = bare.removeprefix("hardware.").removeprefix("objective.").partition(".")[0]
    return f"--{_SPELLED.get(bare) or _SPELLED.get(name, name)}"
