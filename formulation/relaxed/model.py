"""The continuous relaxation: a Pyomo model per class of mappings, convex, and below the exact cost.

``build_relaxed`` makes the model of one *structure*; everything that depends on the layer or the machine is
a mutable parameter, which ``load`` (in ``formulation.relaxed.classes``) sets, with the variables' bounds.

**Variables.** ``log_trips[d]``, the logarithm of the trip count ``n_d`` of each dimension: output and input
channels, batch, each spatial axis. The tile is ``t_d = extent_d / n_d``, real, which at a mapping's own trip
counts is at most its tile: what grows with the tile is under-estimated, what depends on the trips alone is
exact. (Where a model is restricted to a range of tiles, the extent is replaced by the least ``n_d * tile``
among them.) Epigraph variables: ``log_fetched``, ``log_largest`` per axis, ``log_cycles`` (and, if they are
apart, ``log_ports``) per group of loops (logarithms), ``part`` per tensor, ``latency``, ``traffic``,
``energy`` (linear: ``posynomial - constant <= variable`` is convex, which its logarithm would not be).

**Sub-tiles.** Where tiles are cut, ``log_trips[sub_d]`` is the logarithm of the trips ``k_d`` that the
sub-tile would have as a tile. It is at least ``extent_d / k_d``, and there are at least ``k_d`` of it.

**Scales.** ``part`` in buffers, ``latency`` in rooflines, ``traffic`` in compulsory traffics,
``energy`` in the least energies.

**Convexity.** Each constraint reads ``sum of C * exp(affine) + affine <= 0`` with ``C >= 0``. The formulas
are those of ``formulation.cost``, called with the model's expressions instead of integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from pyomo.core.base import ConcreteModel, Constraint, Objective, Param, Var
from pyomo.core.expr import exp

from formulation.cost import Trips, array_traffic, held_bits
from formulation.mapping import Group, Tensor
from formulation.pricing.price import EDGE_TRANSFERS
from formulation.relaxed.structure import GROUPS, TENSORS, Structure, class_passes, class_traffic
from formulation.relaxed.underestimates import LINES, MONOMIALS

_LAYER = ("groups", "taps", "weight_words", "ofmap_words", "ifmap_stored")
_WIDTHS = ("ifmap", "weights", "ofmap", "partial_sums")
_SUM = ("ifmap_reads", "mac_share", "port_share", "moved_share", "time_share")
_MACHINE = ("copies", "cycles_per_bit", "buffer_bits", "roofline_cycles", "compulsory_bits")


def build_relaxed(structure: Structure) -> ConcreteModel:
    """The relaxation of all mappings of one structure.

    ::

        min   weight_latency * latency + weight_traffic * traffic + weight_energy * energy
        s.t.  log_fetched_a >= under-estimate of the sum of interval lengths(n_a)      (axes a)
              log_largest_a >= under-estimate of the longest interval(n_a)             (axes a)
              log_cycles_g  >= under-estimate of the group's array cycles(n_g)         (groups g)
              copies * tile_x(t) <= part_x                                             (tensors x)
              log_trips_d   <= log_trips_sub_d                                 (dimensions d that are cut)
              part_I + part_O + part_W <= capacity,   part_x <= share_x * capacity
              passes_I * I + passes_W * W + ofmap writes and reads <= traffic
              groups * cycles_co * cycles_ci * cycles_sp + edge <= latency             (double-buffered)
              transfer(traffic) + set-ups <= latency                                   (double-buffered)
              groups * cycles_co * cycles_ci * cycles_sp + transfer + set-ups <= latency    (otherwise)
              log_writes    >= under-estimate of the times that an ofmap tile moves(n_ci)      (with set-ups)
              e_mac * MACs + e_sram * (array + traffic) + e_dram * traffic + p * latency <= energy

    Why no term exceeds its exact value at any integer mapping is said by the function that adds it. Banks
    are relaxed to the whole of them: a part rounded up to banks is no smaller.
    """
    m = ConcreteModel("relaxation")
    m.structure = structure
    _parameters(m, structure)
    _variables(m, structure)
    m.objective = Objective(expr=sum(m.weight[name] * getattr(m, name) for name in structure.quantities))
    _interval_constraints(m, structure)
    held = _held(m, structure)
    _capacity_constraints(m, held)
    _traffic_constraint(m, structure)
    for name in structure.grouped:
        _group_constraints(m, structure, name)
    if structure.cut is not None:
        _sub_constraints(m, structure)
    if structure.timed:
        _latency_constraints(m, structure, held)
    if structure.summed:
        _sum_constraint(m, structure)
    return m


def _parameters(m: Any, s: Structure) -> None:
    for name in (*_LAYER, *_MACHINE, *(_SUM if s.summed else ()), "capacity"):
        setattr(m, name, Param(mutable=True, initialize=1.0))
    if s.summed:
        m.streams = Param(GROUPS, mutable=True, initialize=1.0)
    m.weight = Param(list(s.quantities), mutable=True, initialize=1.0)
    m.width = Param(_WIDTHS, mutable=True, initialize=1.0)
    m.extent = Param(s.dims, mutable=True, initialize=1.0)
    m.product = Param(s.dims, mutable=True, initialize=1.0)
    m.share = Param(TENSORS, mutable=True, initialize=1.0)
    if s.set_up:
        m.setup_share = Param(mutable=True, initialize=1.0)
    for name, index in _epigraphs(s):
        setattr(m, f"{name}_line", Param(index, range(LINES), ("A", "B"), mutable=True, initialize=1.0))
        monomial = Param(index, range(MONOMIALS), ("C", "S"), mutable=True, initialize=1.0)
        setattr(m, f"{name}_monomial", monomial)


def _epigraphs(s: Structure) -> Iterator[tuple[str, Sequence[str]]]:
    """What is bounded by under-estimates: names and indices."""
    yield "fetched", s.spatial[1:]
    yield "largest", s.spatial[1:]
    yield from ((name, GROUPS) for name in s.grouped)
    if s.set_up:
        yield "writes", ("ci",)


def _variables(m: Any, s: Structure) -> None:
    m.log_trips = Var(s.dims)
    m.log_fetched = Var(s.spatial[1:])
    m.log_largest = Var(s.spatial[1:])
    m.part = Var(TENSORS)
    for name in s.quantities:
        setattr(m, name, Var())
    for name in s.grouped:
        setattr(m, f"log_{name}", Var(GROUPS))
    if s.set_up:
        m.log_writes = Var(["ci"])


def _trips(m: Any, s: Structure, group: Group) -> Any:
    """The logarithm of a group's trip count; the spatial group's is the product of its dimensions'."""
    return _total(m, s.of_group(group.value))


def _total(m: Any, dims: Sequence[str]) -> Any:
    """The logarithm of the trips of some dimensions in all."""
    return m.log_trips[dims[0]] if len(dims) == 1 else sum(m.log_trips[d] for d in dims)


def _tile(m: Any, dim: str) -> Any:
    """Extent of a tile: ``product / n``, the product being the least ``n * tile``, at least the extent."""
    return m.product[dim] * exp(-m.log_trips[dim])


def _epigraph(m: Any, name: str, log_trips: dict[str, Any], power: int) -> None:
    """``log_<name>`` above lines ``A + B * n**power`` and monomials ``C * n**S`` (``C`` as its logarithm).

    At or below the exact value because each line and monomial is: ``formulation.relaxed.underestimates``.
    """
    value = getattr(m, f"log_{name}")
    line, monomial = getattr(m, f"{name}_line"), getattr(m, f"{name}_monomial")

    def line_rule(_: Any, i: str, k: int) -> Any:
        a, b = line[i, k, "A"], line[i, k, "B"]
        return a * exp(-value[i]) + b * exp(power * log_trips[i] - value[i]) <= 1

    def monomial_rule(_: Any, i: str, k: int) -> Any:
        return monomial[i, k, "C"] + monomial[i, k, "S"] * log_trips[i] - value[i] <= 0

    setattr(m, f"{name}_above_line", Constraint(list(log_trips), range(LINES), rule=line_rule))
    setattr(m, f"{name}_above_monomial", Constraint(list(log_trips), range(MONOMIALS), rule=monomial_rule))


def _interval_constraints(m: Any, s: Structure) -> None:
    """Input intervals: their sum and the longest of them, per axis; the batch has no halo."""
    for name, power in (("fetched", 1), ("largest", -1)):
        _epigraph(m, name, {d: _total(m, s.arguments(name, d)) for d in s.spatial[1:]}, power)


def _group_constraints(m: Any, s: Structure, name: str) -> None:
    """Each group's factor of the compute cycles: quantised to the array, or streaming with its fill.

    Or, if they are apart, its passes at the array's ports.
    """
    _epigraph(m, name, {g: _total(m, s.arguments(name, g)) for g in GROUPS}, 1)


def _sub_constraints(m: Any, s: Structure) -> None:
    """A sub-tile is no larger than its tile, so that it would have no fewer trips."""
    dims = [d for d in s.dims if s.inside(d) != d]
    m.within = Constraint(dims, rule=lambda _, d: m.log_trips[d] - m.log_trips[s.inside(d)] <= 0)


def _held(m: Any, s: Structure) -> Any:
    """Bits of one tile per tensor: products of tile extents and the longest intervals.

    Below the exact value since each factor is, of a tile or of what is held of it; the ofmap's width is
    exact, as the structure fixes whether there are partial sums.
    """

    def size(tensor: Tensor, dim: str) -> Any:
        return _tile(m, s.held(tensor, dim))

    largest = m.ifmap_stored * size("ifmap", "batch") * exp(sum(m.log_largest[d] for d in s.spatial[1:]))
    pixels = 1
    for d in s.spatial:
        pixels = pixels * size("ofmap", d)
    layer, machine = _symbolic(m)
    return held_bits(
        machine,
        size("ifmap", "ci") * largest,
        size("ofmap", "co") * pixels,
        size("weights", "co") * size("weights", "ci") * layer.taps,
        2 if s.wide else 1,
    )


def _symbolic(m: Any) -> tuple[Any, Any]:
    """A layer and a machine whose fields are the model's parameters, for the functions of ``cost``."""
    layer = SimpleNamespace(**{name: getattr(m, name) for name in _LAYER})
    widths = SimpleNamespace(**{name: m.width[name] for name in _WIDTHS})
    return layer, SimpleNamespace(bits=widths, copies=m.copies)


def _capacity_constraints(m: Any, held: Any) -> None:
    """Each tensor's copies within its part, the parts within the buffer, and within given shares of it."""

    def footprint_rule(_: Any, tensor: str) -> Any:
        return m.copies * getattr(held, tensor) / m.buffer_bits <= m.part[tensor]

    m.footprint = Constraint(TENSORS, rule=footprint_rule)
    m.parts_fit = Constraint(expr=sum(m.part[x] for x in TENSORS) <= m.capacity)
    m.partition = Constraint(TENSORS, rule=lambda _, x: m.part[x] <= m.share[x] * m.capacity)


def _traffic_constraint(m: Any, s: Structure) -> None:
    """Words of one pass times passes, each tensor at its width.

    At a mapping's own trip counts only the ifmap's words are under-estimated. The passes are those of the
    loop order when every group takes several trips (and input channels one trip without partial sums); a
    mapping with fewer moves no more in the model of another class, so the least over the models holds. A
    streamed tensor moves as the table has it in any case.
    """
    words_per_channel = exp(sum(m.log_fetched[d] for d in s.spatial[1:]))
    one_pass = m.ifmap_stored * m.extent["ci"] * m.extent["batch"] * words_per_channel
    trips = Trips(*(exp(_trips(m, s, group)) for group in Group))
    layer, machine = _symbolic(m)
    words = class_traffic(layer, s, one_pass, trips)
    m.moved = Constraint(expr=words.bits(machine) / m.compulsory_bits <= m.traffic)


def _latency_constraints(m: Any, s: Structure, held: Any) -> None:
    """``max(compute + edge, transfer)`` as two constraints if double-buffered, else their sum.

    Below the exact latency since cycles, tiles, traffic and the transfers that are set up are.
    """
    compute = m.groups * exp(sum(m.log_cycles[g] for g in GROUPS)) / m.roofline_cycles
    per_bit = m.cycles_per_bit / m.roofline_cycles
    transfer = m.compulsory_bits * per_bit * m.traffic
    edge = held.total * per_bit
    if s.set_up:
        transfer = transfer + _setup(m, s)
        edge = edge + EDGE_TRANSFERS * m.setup_share
    if s.double_buffered:
        m.computed = Constraint(expr=compute + edge <= m.latency)
        m.transferred = Constraint(expr=transfer <= m.latency)
    else:
        m.computed = Constraint(expr=compute + transfer <= m.latency)


def _setup(m: Any, s: Structure) -> Any:
    """Setting all transfers up: of each tensor its tiles, which are exact, times its passes.

    Those of the ofmap, ``2 n - 1`` of n trips of the input channels, are no posynomial, and under-estimated.
    """
    _epigraph(m, "writes", {"ci": m.log_trips["ci"]}, 1)
    logs = {group.value: _trips(m, s, group) for group in Group}
    moved = class_passes(s, Trips(**{name: exp(log) for name, log in logs.items()}))
    co, ci, sp = logs["co"], logs["ci"] if s.partial_sums else 0, logs["sp"]
    weights, ifmap = exp(co + ci) * moved.sp, exp(ci + sp) * moved.co
    return m.setup_share * m.groups * (weights + ifmap + exp(co + sp + m.log_writes["ci"]))


def _sum_constraint(m: Any, s: Structure) -> None:
    """``Rates.of`` with the model's variables, in the least that is spent.

    Below what is spent exactly since traffic, latency, and how often each tensor goes between buffer and
    array are: the factor of the array's cycles is under-estimated, trips are exact (those of sub-tiles are
    the fewest). Which of the two it is for a group, the array says (``streams``, 1 or 0). Where they are
    apart, they are under-estimated as they are.
    """

    def passes(g: Group) -> Any:
        if s.apart:
            return exp(m.log_ports[g.value])
        streams = m.streams[g.value]
        pieces = _total(m, s.arguments("cycles", g.value))
        return (1 - streams) * exp(m.log_cycles[g.value]) + streams * exp(pieces)

    moved = (passes(g) for g in Group)
    layer, machine = _symbolic(m)
    array = array_traffic(layer, m.ifmap_reads, Trips(*moved)).bits(machine)
    each = m.mac_share + m.port_share * array + m.moved_share * m.traffic + m.time_share * m.latency
    m.spends = Constraint(expr=each <= m.spent)
