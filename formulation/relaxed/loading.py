"""The numbers of a problem's class put into its model: parameters, and the variables' bounds."""

from __future__ import annotations

from typing import Any

from formulation.cost import array_passes
from formulation.mapping import Group
from formulation.problem import Posed
from formulation.relaxed.classes import Aim, Relaxation, Variant
from formulation.relaxed.parameters import load_underestimate, set_range, switch
from formulation.relaxed.structure import LOWEST, TENSORS


def load(relaxation: Relaxation, model: Any, variant: Variant, aim: Aim) -> None:
    """Set the parameters of a class's model, and its variables' bounds, to those of a problem."""
    _load_body(relaxation, model, variant)
    for dim in variant.structure.dims:
        model.product[dim].set_value(relaxation.product(variant, dim))
    _load_machine(relaxation, model, aim)
    for name, family in relaxation.underestimates(variant).items():
        for index, under in family.items():
            load_underestimate(model, name, index, under)
            low, high = relaxation.log_trips_range(variant, index, name)
            low, high = under.log_range(low, high)
            getattr(model, f"log_{name}")[index].setlb(low)
            getattr(model, f"log_{name}")[index].setub(high)
    for dim in variant.structure.dims:
        low, high = relaxation.log_trips_range(variant, dim)
        model.log_trips[dim].setlb(low)
        model.log_trips[dim].setub(high)


def _load_body(relaxation: Relaxation, m: Any, variant: Variant) -> None:
    m.ifmap_stored.set_value(float(relaxation.stored))
    m.taps.set_value(relaxation.taps(variant))
    for name in ("groups", "weight_words", "ofmap_words"):
        getattr(m, name).set_value(float(getattr(relaxation.body, name)))
    for dim, extent in relaxation.extents.items():
        m.extent[dim].set_value(float(extent))


def _load_machine(relaxation: Relaxation, m: Any, aim: Aim) -> None:
    hardware = relaxation.problem.hardware
    for name in ("ifmap", "weights", "ofmap", "partial_sums"):
        m.width[name].set_value(float(getattr(hardware.bits, name)))
    m.copies.set_value(float(hardware.copies))
    m.cycles_per_bit.set_value(hardware.tick.per_bit / hardware.tick.per_cycle)
    m.buffer_bits.set_value(float(hardware.buffer_bits))
    m.roofline_cycles.set_value(relaxation.roofline_cycles)
    m.compulsory_bits.set_value(float(relaxation.compulsory_bits))
    m.capacity.set_value(1.0)
    for name, weight, cap in aim.terms(m.structure.quantities):
        m.weight[name].set_value(weight)
        set_range(getattr(m, name), LOWEST[name], cap)
    if m.structure.set_up:
        m.setup_share.set_value(hardware.transfer_cycles / relaxation.roofline_cycles)
    if m.structure.summed:
        _load_sum(relaxation, m)
    _load_partition(relaxation.problem, m)


def _load_sum(relaxation: Relaxation, m: Any) -> None:
    """Shares of the least sum: of the MACs, a bit at the array, a unit of traffic, and of latency."""
    body, hardware, least = relaxation.body, relaxation.problem.hardware, relaxation.least
    each = relaxation.rates
    assert each is not None
    m.ifmap_reads.set_value(float(body.ifmap_reads))
    m.mac_share.set_value(float(each.mac * body.macs / least.spent))
    m.port_share.set_value(float(each.port / least.spent))
    m.moved_share.set_value(float(each.moved * least.traffic / least.spent))
    m.time_share.set_value(float(each.tick * least.latency / least.spent))
    for group in Group:
        m.streams[group.value].set_value(float(array_passes(hardware, group, 1, 0)))


def _load_partition(problem: Posed[Any], m: Any) -> None:
    """Parts that are given bind one by one; otherwise only their sum is bounded."""
    partition, whole = problem.partition, problem.hardware.buffer_bits
    switch(m.parts_fit, partition is None)
    for tensor in TENSORS:
        share = 1.0 if partition is None else getattr(partition, tensor) / whole
        m.share[tensor].set_value(share)
        set_range(m.part[tensor], 0.0, 2 * share)  # never binding: the constraint is
        switch(m.partition[tensor], partition is not None)
