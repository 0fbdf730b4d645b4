"""The report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from formulation.hardware import Hardware
from formulation.problem import Kind
from solvers.report import LayerReport, PartReport, Report

#: Columns of a table that is not printed to a terminal.
WIDTH = 130


def print_report(report: Report, console: Console) -> None:
    """Print the layers and the totals."""
    console.print(Group(_heading(report), _layers(report), _totals(report)))


def _heading(report: Report) -> Text:
    machine = report.hardware
    goal = report.objective
    kind = goal.kind.value
    if goal.kind is Kind.BALANCED:
        kind = f"least traffic within {100 * float(goal.tolerance):.3g} % of the least latency"
    buffer = f"{machine.buffer_bytes / 1024:,.0f} KiB"
    line = Text.assemble((report.network, "bold"), f" on {machine.rows} x {machine.cols}, {buffer}, ")
    line.append(f"{float(machine.bandwidth):g} GB/s, {float(machine.frequency):g} GHz, {_bits(machine)}")
    line.append(f"\n{report.scenario.search_method}: {kind}")
    if report.partition is not None:
        line.append(f"; partition I O W {_parts(report.partition.parts)} KiB")
    return line


def _bits(machine: Hardware) -> str:
    widths = [getattr(machine.bits, name) for name in machine.bits.__slots__]
    return f"{widths[0]} bit" if len(set(widths)) == 1 else f"I W O P {'/'.join(map(str, widths))} bit"


def _layers(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("layer", no_wrap=True, overflow="fold")
    for title in ("MACs\nM", "tile\nco x ci x sp", "stays", "I / O / W\nKiB"):
        table.add_column(title, justify="right" if title != "stays" else "left", no_wrap=True)
    for title in ("kcycles", "traffic\nkB", "array\n%", "buffer\n%", "gap\n%"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in report.layers:
        for row in _rows(layer):
            table.add_row(*row)
    return table


def _rows(layer: LayerReport) -> Iterator[tuple[str, ...]]:
    """One row for a whole layer; for a split one a row for itself and one for each part."""
    if len(layer.parts) == 1 and layer.parts[0].count == 1:
        yield (layer.operator.name, *_part_cells(layer.parts[0]))
        return
    note = f" {layer.treatment.value}" if layer.treatment else ""
    cycles, traffic = layer.total("latency_cycles"), layer.total("traffic_bytes")
    busy = None
    if cycles:
        busy = Fraction(layer.macs, layer.hardware.rows * layer.hardware.cols) / cycles
    yield (
        f"{layer.operator.name}{note}",
        f"{layer.macs / 1e6:,.0f}",
        *[""] * 3,
        _thousands(cycles),
        _thousands(traffic),
        _percent(busy),
        "",
        "",
    )
    for part in layer.parts:
        times = f" x{part.count}" if part.count > 1 else ""
        yield (f"  {part.name.rpartition('/')[2]}{times}", *_part_cells(part))


def _part_cells(part: PartReport) -> tuple[str, ...]:
    macs = f"{part.layer.macs / 1e6:,.0f}" if part.layer else "0"
    if not part.solved:
        return macs, "[red]does not fit", *[""] * 7
    result, footprint = part.result, part.footprint
    if result is None or result.mapping is None or footprint is None:
        return macs, "written only", "", "", *_numbers(part), "", "", ""
    tile, problem = result.mapping.tile, result.problem
    sizes = [
        tile.out_channels,
        tile.in_channels,
        *([tile.batch] if problem.layer.batch > 1 else []),
        *tile.spatial,
    ]
    slide = "" if result.mapping.sliding_axis is None else f" ~{result.mapping.sliding_axis}"
    peak = part.hardware.rows * part.hardware.cols
    assert part.layer is not None
    assert part.latency_cycles is not None
    return (
        macs,
        "x".join(map(str, sizes)),
        result.mapping.stationary.value + slide,
        _parts((problem.partition or footprint).parts),
        *_numbers(part),
        _percent(Fraction(part.layer.macs, peak) / part.latency_cycles),
        _percent(Fraction(footprint.total, part.hardware.buffer_bits)),
        _percent(result.gap, digits=2),
    )


def _numbers(part: PartReport) -> tuple[str, str]:
    return _thousands(part.latency_cycles), _thousands(part.traffic_bytes)


def _parts(bits: tuple[int, ...]) -> str:
    return " / ".join(f"{part / 8 / 1024:,.0f}" for part in bits)


def _thousands(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value) / 1e3:,.0f}"


def _percent(value: Fraction | float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{100 * float(value):.{digits}f}"


def _totals(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("total" if report.complete else "total of the layers that fit")
    for title in ("", "bound", "ratio"):
        table.add_column(title, justify="right")
    sums = report.totals()
    cycles, traffic = sums["latency_cycles"], sums["traffic_bytes"]
    roofline, compulsory = sums["roofline_cycles"], sums["compulsory_bytes"]
    table.add_row("MACs", f"{sums['macs']:,}", "", "")
    rows = (
        ("cycles (bound: roofline)", cycles, roofline),
        ("traffic bytes (bound: compulsory)", traffic, compulsory),
    )
    for name, value, bound in rows:
        table.add_row(name, f"{value:,.0f}", f"{bound:,.0f}", f"{value / bound:.3f}" if bound else "")
    seconds = cycles / float(report.hardware.frequency) / 1e9
    table.add_row("time at the clock", f"{1e3 * seconds:,.2f} ms", "", "")
    table.add_row("solved in", f"{report.seconds:.2f} s", "", "")
    return table
