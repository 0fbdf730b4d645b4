"""The report as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dnns.terminal.listing import left_out_lines
from dnns.terminal.tables import Cell, Title, fitted, put
from formulation.hardware import Hardware
from formulation.pricing.objective import ENERGY
from solvers.cli.tables.columns import Unit, buffer_unit, percent
from solvers.cli.tables.heading import heading, width_list
from solvers.cli.tables.totals import slack_line, totals
from solvers.network.parts import LayerReport, PartReport
from solvers.network.report import Report

if TYPE_CHECKING:
    from solvers.shared.deconvolution import DeconvolutionResult, KernelRow


def print_report(report: Report, console: Console) -> None:
    """Print the layers and the totals."""
    units = _Units.of(report)
    console.print(heading(report), highlight=False)
    for table in (_layers(report, units, console), totals(report, console)):
        put(console, table)
    if report.slack is not None:
        console.print(slack_line(report.slack, report.hardware), highlight=False)
    for line in left_out_lines(report.graph):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class _Units:
    """Units in which the largest number of each column has at most some seven digits."""

    macs: Unit
    cycles: Unit
    traffic: Unit
    buffer: Unit
    energy: Unit

    @classmethod
    def of(cls, report: Report) -> _Units:
        solved = list(report.solved_layers)
        macs = max((layer.macs for layer in solved), default=0)
        cycles = max((layer.total("latency_cycles") or 0 for layer in solved), default=0)
        traffic = max((layer.total("traffic_bytes") or 0 for layer in solved), default=0)
        energy = max((layer.total("energy_pj") or 0 for layer in solved), default=0)
        return cls(
            Unit("M", 10**6) if macs >= 10**7 else Unit("", 1),
            Unit("kcycles", 1000) if cycles >= 10**7 else Unit("cycles", 1),
            Unit("kB", 1000) if traffic >= 10**7 else Unit("B", 1),
            buffer_unit(report.hardware),
            Unit("uJ", 10**6) if energy >= 10**7 else Unit("pJ", 1),
        )

    def parts(self, bits: tuple[int, ...]) -> str:
        """The buffer's parts, I O W."""
        return " / ".join(map(self.buffer, bits))


def _layers(report: Report, units: _Units, console: Console) -> Table:
    """The widest table that the console has room for: columns are left out, never cut."""
    labels = _labels(report.layers)
    rows = [
        (*row, *(_of_layer(layer, units) if first == 0 else ("", "")))
        for layer in report.layers
        for first, row in enumerate(_rows(layer, labels[layer.operator.name], units))
    ]
    titles: tuple[Title, ...] = (
        ("\nlayer", "left"),
        (f"MACs\n{units.macs.name}", "right"),
        ("tile\nco x ci x sp", "right"),
        ("\nstays", "left"),
        (f"I / O / W\n{units.buffer.name}", "right"),
        (f"latency\n{units.cycles.name}", "right"),
        (f"traffic\n{units.traffic.name}", "right"),
        ("array\n%", "right"),
        ("buffer\n%", "right"),
        ("gap\n%", "right"),
        (f"energy\n{units.energy.name}", "right"),
        ("bits\nI/W/O/P", "right"),
    )
    differ = report.carries_bits and len({layer.hardware.bits for layer in report.layers}) > 1
    hidden = ({_BITS} if not differ else set()) | ({_ENERGY} if not report.objective.needs(ENERGY) else set())
    shown = [column for column in range(len(titles)) if column not in hidden]
    dispensable = [shown.index(column) for column in _DISPENSABLE if column in shown]
    cells = [[row[column] for column in shown] for row in rows]
    return fitted([titles[column] for column in shown], cells, dispensable, console)


_ENERGY, _BITS = 10, 11
#: Columns in the order in which a narrow console does without them: MACs, buffer, array, parts, stays, tile,
#: bits, gap.
_DISPENSABLE = (1, 8, 7, 4, 3, 2, _BITS, 9)


def _of_layer(layer: LayerReport, units: _Units) -> tuple[str, str]:
    """Energy and widths of a whole layer."""
    return units.energy(layer.total("energy_pj")), "/".join(map(str, width_list(layer.hardware)))


def _labels(layers: Sequence[LayerReport]) -> dict[str, str]:
    """What each layer is called: its module if the file says and no other layer has it, or its name."""
    times = Counter(layer.node.module for layer in layers)
    return {layer.operator.name: _label(layer.operator.name, layer.node.module, times) for layer in layers}


def _label(name: str, module: str, times: Counter[str]) -> str:
    if not module:
        return name
    return module if times[module] == 1 else f"{module} {name}"


def _rows(layer: LayerReport, label: str, units: _Units) -> Iterator[tuple[Cell, ...]]:
    """One row for a whole layer; for a split one a row for itself and one for each part."""
    if len(layer.parts) == 1 and layer.parts[0].count == 1 and layer.shared is None:
        yield (label, *_part_cells(layer.parts[0], units))
        return
    note = f" {layer.treatment.value}" if layer.treatment else ""
    cycles, traffic = layer.total("latency_cycles"), layer.total("traffic_bytes")
    yield (
        f"{label}{note}",
        units.macs(layer.macs),
        *_way(layer, units),
        units.cycles(cycles),
        units.traffic(traffic),
        _busy(layer.macs, layer.hardware, cycles),
        _shared_full(layer.shared) if layer.shared else "",
        percent(layer.shared.gap, digits=2) if layer.shared else "",
    )
    if layer.shared is not None:
        yield from _kernel_rows(layer, units)
        return
    for part in layer.parts:
        yield (f"  {part.name.rpartition('/')[2]}{_times(part.count)}", *_part_cells(part, units))


def _way(layer: LayerReport, units: _Units) -> tuple[Cell, Cell, Cell]:
    """Tile, what stays and the buffer's parts of a layer in parts: only where ifmap tiles are shared."""
    if layer.error is not None:
        return Text("internal error", style="red"), "", ""
    return _shared_cells(layer.shared, units) if layer.shared else ("", "", "")


def _shared_cells(best: DeconvolutionResult, units: _Units) -> tuple[str, str, str]:
    """Tile (rounds in place of output channels), what stays, and the buffer's parts."""
    shared = best.shared
    assert shared is not None
    assert shared.mapping is not None
    assert shared.cost is not None
    mapping = shared.mapping
    batch = [mapping.batch] if best.deconv.batch > 1 else []
    slide = "" if mapping.sliding_axis is None else f" ~{mapping.sliding_axis}"
    return (
        "x".join(map(str, (f"{mapping.round_count}r", mapping.in_channels, *batch, *mapping.spatial))),
        mapping.stationary.value + slide,
        units.parts((best.partition or shared.cost.footprint).parts),
    )


def _shared_full(best: DeconvolutionResult) -> str:
    assert best.shared is not None
    assert best.shared.cost is not None
    return percent(Fraction(best.shared.cost.footprint.total, best.hardware.buffer_bits))


def _kernel_rows(layer: LayerReport, units: _Units) -> Iterator[tuple[str, ...]]:
    """The sub-kernels that share ifmap tiles; alike ones in one row, with their filters per round."""
    assert layer.shared is not None
    alike: dict[KernelRow, list[str]] = {}
    for kernel in layer.shared.kernels:
        alike.setdefault(replace(kernel, name=""), []).append(kernel.name)
    macs = {phase: p.layer.macs if p.layer else 0 for p in layer.parts for phase in p.phases}
    for kernel, names in alike.items():
        taps, out = ("x".join(map(str, sizes)) for sizes in (kernel.kernel, kernel.out))
        filters = f"{_runs(kernel.filters)} filters" if kernel.filters else "written only"
        yield (
            f"  {names[0]}{_times(len(names))}",
            units.macs(macs[names[0]]),
            f"{taps} to {out}",
            "",
            filters,
            *[""] * 5,
        )


def _times(count: int) -> str:
    return f" x{count}" if count > 1 else ""


def _runs(numbers: tuple[int, ...]) -> str:
    """Numbers with equal neighbours counted: ``2 x 171, 170``."""
    runs = ((len(list(same)), number) for number, same in groupby(numbers))
    return ", ".join(f"{count} x {number}" if count > 1 else str(number) for count, number in runs)


def _part_cells(part: PartReport, units: _Units) -> tuple[Cell, ...]:
    macs = part.layer.macs if part.layer else 0
    numbers = units.cycles(part.latency_cycles), units.traffic(part.traffic_bytes)
    result, footprint = part.result, part.footprint
    if not part.solved:
        text = "does not fit" if part.error is None else "internal error"
        return units.macs(macs), Text(text, style="red"), *[""] * 7
    if result is None or result.mapping is None or footprint is None:
        return units.macs(macs), "written only", "", "", *numbers, "", "", ""
    tile, problem = result.mapping.tile, result.problem
    batch = [tile.batch] if problem.layer.batch > 1 else []
    slide = "" if result.mapping.sliding_axis is None else f" ~{result.mapping.sliding_axis}"
    cut = f", {result.mapping.streaming}" if result.mapping.inner else ""
    return (
        units.macs(macs),
        "x".join(map(str, (tile.out_channels, tile.in_channels, *batch, *tile.spatial))),
        result.mapping.stationary.value + slide + cut,
        units.parts((problem.partition or footprint).parts),
        *numbers,
        _busy(macs, part.hardware, part.latency_cycles),
        percent(Fraction(footprint.total, part.hardware.buffer_bits)),
        percent(result.gap, digits=2),
    )


def _busy(macs: int, machine: Hardware, cycles: Fraction | None) -> str:
    """Array utilisation: MACs per processing element and cycle."""
    return percent(Fraction(macs, machine.rows * machine.cols) / cycles if cycles else None)


_WORTH = {
    "cycles_per_kib": "cycles\nper KiB",
    "cycles_per_gbps": "cycles\nper GB/s",
    "bytes_per_kib": "bytes\nper KiB",
    "bytes_per_gbps": "bytes\nper GB/s",
    "score_per_kib": "score\nper KiB",
    "score_per_gbps": "score\nper GB/s",
}


def print_sensitivity(report: Report, console: Console) -> None:
    """Print what one more KiB of buffer, or one more GB/s of bandwidth, saves by the relaxation."""
    total = report.sensitivity() or {}
    names = [name for name in _WORTH if name in total]
    rows = [
        (f"{part.name}{_times(part.count)}", *(_worth(part.sensitivity.get(name)) for name in names))
        for layer in report.layers
        for part in (layer.parts if layer.shared is None else ())
    ]
    ends = [len(rows) - 1]
    rows.append(("network", *(_worth(total.get(name)) for name in names)))
    titles: list[Title] = [("\nlayer", "left"), *((_WORTH[name], "right") for name in names)]
    table = fitted(titles, rows, range(len(names), 1, -1), console, sections=ends)
    table.title, table.title_justify = "saved by a little more", "left"
    put(console, table)


def _worth(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
