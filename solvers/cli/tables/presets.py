"""The machines that have a name, as a table."""

from __future__ import annotations

from rich.console import Console

from dnns.terminal.tables import Title, fitted, put
from solvers.cli.tables.heading import width_list
from solvers.scenario.hardware import HardwareModel
from solvers.scenario.presets import Preset, presets

_TITLES: tuple[Title, ...] = (
    ("\nname", "left"),
    ("array\nrows x cols", "right"),
    ("SRAM\nKiB", "right"),
    ("DRAM\nGB/s", "right"),
    ("clock\nGHz", "right"),
    ("bits\nI/W/O/P", "right"),
    ("\nstays", "left"),
    ("MAC\npJ", "right"),
    ("SRAM\npJ/bit", "right"),
    ("DRAM\npJ/bit", "right"),
    ("\nsource", "left"),
)
#: Columns in the order in which a narrow console does without them: source, energies, what stays, widths,
#: clock.
_DISPENSABLE = (10, 7, 8, 9, 6, 5, 4)


def print_presets(console: Console) -> None:
    """Print a row for each machine, and what the model leaves out of it."""
    every = presets().values()
    put(console, fitted(_TITLES, map(_row, every), _DISPENSABLE, console))
    console.print("left out by one array, one buffer and one channel:", highlight=False)
    for preset in every:
        text = f"  {preset.name} ({preset.title}): {preset.leaves_out}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _row(preset: Preset) -> tuple[str, ...]:
    machine = HardwareModel(preset=preset.name).build()
    energy = machine.energy
    return (
        preset.name,
        f"{machine.rows} x {machine.cols}",
        f"{machine.buffer_bytes / 1024:,.0f}",
        f"{float(machine.bandwidth):g}",
        f"{float(machine.frequency):g}",
        "/".join(map(str, width_list(machine))),
        machine.dataflow.value,
        *(f"{float(each):.3g}" for each in (energy.mac, energy.sram, energy.dram)),
        preset.source,
    )
