"""What stands above a table: the machine, what the result is of, and what was minimised."""

from __future__ import annotations

from rich.text import Text

from formulation.hardware import Hardware
from solvers.cli.tables.columns import buffer_unit
from solvers.network.data.subject import subject_line
from solvers.network.report import Report


def heading(report: Report) -> Text:
    """The lines above the table."""
    machine, unit = report.hardware, buffer_unit(report.hardware)
    buffer = f"{unit(machine.buffer_bits)} {unit.name}"
    named = report.scenario.hardware.told_preset
    line = Text.assemble((report.network, "bold"), f" on {named}{machine.rows} x {machine.cols}, {buffer}, ")
    line.append(f"{float(machine.bandwidth):g} GB/s, {float(machine.frequency):g} GHz, {_bits(report)}")
    line.append(f"\n{subject_line(report.scenario, report.graph)}")
    whole = ", kept by the network as a whole" if report.slack is not None else ""
    line.append(f"\n{report.scenario.search_method}: {report.objective.title}{whole}")
    if report.partition is not None:
        line.append(f"; partition I O W {' / '.join(map(unit, report.partition.parts))} {unit.name}")
    return line


def _bits(report: Report) -> str:
    if not report.carries_bits:
        given = ", given; the network carries its own" if report.graph.carries_bits else ""
        return f"{_widths(report.hardware)}{given}"
    widths = {_widths(layer.hardware) for layer in report.layers}
    return f"{widths.pop()} from the network" if len(widths) == 1 else "bits of each layer from the network"


def _widths(machine: Hardware) -> str:
    widths = width_list(machine)
    return f"{widths[0]} bit" if len(set(widths)) == 1 else f"I W O P {'/'.join(map(str, widths))} bit"


def width_list(machine: Hardware) -> list[int]:
    """Bits of a word of ifmap, weights, ofmap and partial sums."""
    return [getattr(machine.bits, name) for name in machine.bits.__slots__]
