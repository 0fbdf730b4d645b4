"""The report of a network as one problem as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dnns.terminal.tables import Cell, Title, fitted, put
from formulation.network.frontiers.frontier import LayerWay, Way
from formulation.network.graph import LayerUse, Value
from formulation.network.sharing import SharedWay
from formulation.network.stacks.cost import stack_cost
from formulation.network.stacks.search.frontier import StackWay
from formulation.network.stacks.shares import layer_shares
from formulation.network.stacks.weights import weights_of
from formulation.network.weights import weights_name
from formulation.pricing.objective import ENERGY
from formulation.problem import Kind
from solvers.cli.tables.columns import Unit, buffer_unit
from solvers.network.data.subject import subject_line
from solvers.network.resident.found import Used
from solvers.network.resident.report import NetworkReport

_TITLES: tuple[Title, ...] = (
    ("\nlayer", "left"),
    ("tile\nco x ci x sp", "right"),
    ("tile\nthat stays", "left"),
    ("read\non chip", "left"),
    ("stays on chip until the end of\n", "left"),
    ("I / O / W\n{buffer}", "right"),
    ("kept\n{buffer}", "right"),
    ("array\n{cycles}", "right"),
    ("latency\n{cycles}", "right"),
    ("traffic\n{traffic}", "right"),
)
_DISPENSABLE = (2, 5, 7, 1, 6)
"""Columns in the order in which a narrow console does without them."""


def print_network(report: NetworkReport, console: Console) -> None:
    """Print the layers, what stays, and the totals."""
    console.print(_heading(report))
    put(console, _layers(report, console))
    put(console, _totals(report))


def _heading(report: NetworkReport) -> Text:
    machine, goal, unit = report.hardware, report.objective, buffer_unit(report.hardware)
    kind = goal.kind.value
    if goal.kind is Kind.BALANCED:
        kind = f"least traffic within {100 * float(goal.tolerance):.3g} % of the least latency"
    line = Text.assemble((report.network, "bold"), f" on {machine.rows} x {machine.cols}, ")
    line.append(f"{unit(machine.buffer_bits)} {unit.name}, {float(machine.bandwidth):g} GB/s")
    line.append(f"\n{subject_line(report.scenario, report.source)}")
    line.append(f"\nnetwork as one problem, {report.scenario.network_level}: {kind}")
    if report.scenario.weights_resident:
        line.append(f"\n{_for_good(report)}")
    return line


def _for_good(report: NetworkReport) -> str:
    """How many trained weights stay for good."""
    stay, unit = report.staying_weights, buffer_unit(report.hardware)
    every = len({weights_name(use) for use in report.graph.layers if not use.weights})
    bits = sum(weights.bits for weights in stay)
    return (
        f"inference after inference: {len(stay)} of {every} weights stay for good, {unit(bits)} {unit.name}"
    )


def _layers(report: NetworkReport, console: Console) -> Table:
    points = [used.point for used in report.used]
    cycles = max((report.hardware.tick.cycles(p.latency) for p in points), default=Fraction(0))
    traffic = max((Fraction(p.traffic, 8) for p in points), default=Fraction(0))
    units = {
        "buffer": buffer_unit(report.hardware),
        "cycles": Unit("kcycles", 1000) if cycles >= 10**7 else Unit("cycles", 1),
        "traffic": Unit("kB", 1000) if traffic >= 10**7 else Unit("B", 1),
    }
    names = {key: unit.name for key, unit in units.items()}
    titles: list[Title] = [(title.format(**names), side) for title, side in _TITLES]
    rows = [row for used in report.used for row in _rows(report, used, units)]
    return fitted(titles, rows, _DISPENSABLE, console)


def _rows(report: NetworkReport, used: Used, units: dict[str, Unit]) -> Iterator[tuple[Cell, ...]]:
    """A row for a layer, and one for each way to run its parts if there are several."""
    use, point = report.graph.layers[used.block.first], used.point
    if use.position in report.unfit:
        yield (use.name, Text("does not fit", "red"), *[""] * (len(_TITLES) - 2))
        return
    if used.stacked is not None:
        yield from _stack_rows(report, used, used.stacked, units)
        return
    tick = report.hardware.tick
    groups: dict[Way, int] = {}
    for way in point.ways:
        groups[way] = groups.get(way, 0) + 1
    single = len(point.ways) == 1
    yield (
        f"{use.name} combine" if used.shared else use.name,
        *(_way_cells(point.ways[0]) if single else ("", "")),
        _on_chip(report, use),
        _staying(report, use),
        _parts(report, point.ways[0], units) if single else "",
        units["buffer"](report.held_bits(use.position)),
        _computed(report, point.ways, units),
        units["cycles"](tick.cycles(point.latency)),
        units["traffic"](Fraction(point.traffic, 8)),
    )
    for way, count in groups.items() if not single else ():
        cost = way.cost(report.hardware)
        yield (
            f"  part x{count}" if count > 1 else "  part",
            *_way_cells(way),
            "",
            "",
            _parts(report, way, units),
            "",
            _computed(report, (way,), units),
            units["cycles"](tick.cycles(cost.latency)),
            units["traffic"](Fraction(cost.traffic, 8)),
        )


def _stack_rows(
    report: NetworkReport, used: Used, way: StackWay, units: dict[str, Unit]
) -> Iterator[tuple[Cell, ...]]:
    """A row for a stack, and one for each of its layers with its part of cycles and traffic."""
    machine, stack, graph = report.hardware, way.stack, report.graph
    cost = stack_cost(stack, machine, way.schedule, way.stays)
    held = max(report.held_bits(position) for position in used.block.positions)
    yield (
        used.block.name,
        "x".join(map(str, way.schedule.pieces)),
        "bands",
        "",
        "",
        units["buffer"](cost.room),
        units["buffer"](held),
        units["cycles"](cost.compute_cycles),
        units["cycles"](machine.tick.cycles(cost.latency_ticks)),
        units["traffic"](Fraction(cost.traffic_bits, 8)),
    )
    shares = layer_shares(stack, machine, way.schedule, way.stays)
    for position, tile, share in zip(used.block.positions, way.schedule.tiles, shares, strict=True):
        use = graph.layers[position]
        yield (
            f"  {use.name}",
            "" if tile is None else "x".join(map(str, tile)),
            "streamed" if tile is not None else "weights stay" if stack.resident else "weights kept",
            _on_chip(report, use),
            _staying(report, use),
            units["buffer"](weights_of(use.layer, machine, tile, stack.resident).room),
            "",
            units["cycles"](share.compute_cycles),
            "",
            units["traffic"](Fraction(share.traffic_bits, 8)),
        )


def _computed(report: NetworkReport, ways: Sequence[Way], units: dict[str, Unit]) -> str:
    """Cycles in which the array works."""
    work = (way.work(report.hardware).compute for way in ways if isinstance(way, LayerWay | SharedWay))
    return units["cycles"](sum(work))


def _way_cells(way: Way) -> tuple[str, str]:
    """Tile and what stays of it."""
    sizes: tuple[int | str, ...]
    if isinstance(way, SharedWay):
        shared = way.mapping
        batch = [shared.batch] if way.deconv.batch > 1 else []
        sizes = (f"{shared.round_count}r", shared.in_channels, *batch, *shared.spatial)
    elif isinstance(way, LayerWay):
        tile = way.mapping.tile
        batch = [tile.batch] if way.layer.batch > 1 else []
        sizes = (tile.out_channels, tile.in_channels, *batch, *tile.spatial)
    else:
        return "written only", ""
    axis = way.mapping.sliding_axis
    slide = "" if axis is None else f" ~{axis}"
    return "x".join(map(str, sizes)), way.mapping.stationary.value + slide


def _parts(report: NetworkReport, way: Way, units: dict[str, Unit]) -> str:
    if not isinstance(way, LayerWay | SharedWay):
        return ""
    return " / ".join(map(units["buffer"], way.parts(report.hardware).parts))


def _on_chip(report: NetworkReport, use: LayerUse) -> str:
    """Which operands are read on the chip: I for the ifmap, W for weights, D for operands of drains."""
    stays = report.choice.chosen.stays
    marks = []
    for mark, sources in (("I", use.ifmap), ("W", use.weights), ("D", use.drain_reads)):
        share = _share(sources, stays)
        if share:
            marks.append(mark if share == 1 else f"{mark} {100 * float(share):.0f}%")
        elif mark == "W" and report.resident(use.position):
            marks.append(mark)
    return " ".join(marks)


def _share(sources: Value, stays: frozenset[int]) -> Fraction:
    words = sum(s.words for s in sources)
    kept = sum(s.words for s in sources if s.tensor in stays)
    return Fraction(kept, words) if words else Fraction(0)


def _staying(report: NetworkReport, use: LayerUse) -> str:
    """What the layer makes that stays, and until when."""
    graph, cells = report.graph, []
    for index in use.emits:
        if index in report.choice.chosen.stays:
            tensor = graph.tensors[index]
            last = graph.layers[tensor.last].name
            own = "" if tensor.name == use.name else f"{tensor.name}: "
            cells.append(f"{own}{last}")
    return ", ".join(cells)


def _totals(report: NetworkReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("total" if report.complete else "total of the layers that fit")
    single = ("single layers",) if report.single else ()
    for title in ("", "nothing stays", *single, "any schedule", "proven bound", "gap %"):
        table.add_column(title, justify="right")
    tick = report.hardware.tick
    others = [report.apart, *([report.single] if report.single else [])]
    traffic = [Fraction(other.traffic, 8) if other else None for other in others]
    cycles = [tick.cycles(other.latency) if other else None for other in others]
    for name, value, rest, least, bound in (
        ("traffic bytes", report.traffic_bytes, traffic, report.compulsory_bytes, report.traffic_bound),
        ("cycles", report.latency_cycles, cycles, report.roofline_cycles, report.latency_bound),
    ):
        values = [value, *rest, least]
        gap = None if bound is None or not value else 100 * float(1 - bound / value)
        cells = ["-" if v is None else f"{float(v):,.0f}" for v in (*values, bound)]
        table.add_row(name, *cells, "-" if gap is None else f"{gap:.2f}")
    if report.objective.needs(ENERGY):
        energies = [None if other is None else report.energy_pj(other) for other in others]
        row = (report.energy_pj(), *energies, report.least_energy_pj, report.energy_bound)
        gap = None if row[-1] is None or not row[0] else 100 * float(1 - row[-1] / row[0])
        cells = ["-" if v is None else f"{float(v / 10**6):,.1f}" for v in row]
        table.add_row("energy uJ", *cells, "-" if gap is None else f"{gap:.2f}")
    milliseconds = float(report.latency_cycles / report.hardware.frequency) / 1e6
    table.add_row("time at the clock", f"{milliseconds:,.2f} ms")
    programs = sum(stage.seconds for stage in report.choice.stages)
    text = f"{report.seconds:.2f} s: frontiers {report.frontier_seconds:.2f}, programs {programs:.2f}"
    table.add_row("solved in", text)
    return table
