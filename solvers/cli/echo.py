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
