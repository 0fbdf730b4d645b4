"""Numbers of the packing beside the choices that are made: links of the whole program of shared ifmap tiles.

The number beside the choice c that is made is ``low_c + span_c * p_c``; beside all others it is 0:

    sum_c low_c * one_c + span_c * p_c >= number,    0 <= p_c <= one_c

Where the number is of some of the choices only (a ratio of pixels, of the tiles that have it), it does not
matter if none of these is made: ``most * (1 - sum_c one_c)`` is taken off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyomo.core as pyo

from formulation.program.products import Spans
from formulation.program.scaling import SPAN
from formulation.program.terms import Keys, Product
from formulation.shared.whole.coefficients import LoadProduct


def add_loads(model: Any, products: Sequence[Sequence[Product]], spans: Spans) -> None:
    """Variables and rows of all products with a number of the packing that the model has.

    Args:
        model: has the binaries, and the numbers: ``fullest``, and ``work`` as a share of its greatest.
        products: of each variant.
        spans: of each variable.
    """
    found: dict[str, list[LoadProduct]] = defaultdict(list)
    for product in [p for every in products for p in every if isinstance(p, LoadProduct)]:
        if product.of != "work" or hasattr(model, "work"):
            found[product.name].append(product)
    for name, mine in found.items():
        keys = [key for p in mine for key in p.least if (name, key) in spans]
        owners = getattr(model, mine[0].families[0])
        beside = pyo.Var(keys, bounds=(0, 1))
        setattr(model, name, beside)
        within = pyo.Constraint(keys)
        setattr(model, f"{name}_if", within)
        for key in keys:
            within[key] = beside[key] <= owners[key]
        _reach(model, mine, spans)


def _reach(model: Any, products: list[LoadProduct], spans: Spans) -> None:
    """What is beside the choice that is made reaches the number."""
    name, numbers = products[0].name, getattr(model, products[0].of)
    owners, beside = getattr(model, products[0].families[0]), getattr(model, name)
    low = {key: n for p in products for key, n in p.least.items()}
    members: dict[Any, list[Keys]] = defaultdict(list)
    for product in products:
        for key, load in product.load.items():
            members[load].append(key)
    rows = pyo.Constraint(list(members))
    setattr(model, f"{name}_of", rows)
    size = {load: n for p in products for load, n in p.size.items()}
    for load, keys in members.items():
        most = float(size[load])
        scale = min(1.0, SPAN / 10 ** len(str(size[load])))
        terms = [low[key] * scale * owners[key] for key in keys if low[key]]
        terms += [spans[name, key] * scale * beside[key] for key in keys if (name, key) in spans]
        unit = most if numbers[load].is_continuous() else 1.0
        others = 1 - pyo.quicksum(owners[key] for key in keys) if len(members) > 1 else 0
        rows[load] = pyo.quicksum(terms) >= unit * scale * numbers[load] - most * scale * others
