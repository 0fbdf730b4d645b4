"""Energy of one layer on machines that have a name, by what takes it: the table of ``docs/machines.md``.

``python -m benchmarks.machines``; ``--write`` puts it into the page.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from solvers.network.levels import run_scenario
from solvers.scenario import read_scenario

ROOT = Path(__file__).parents[1]
LAYER = "stage3.rest.1.body.b"
MACHINES = ("eyeriss", "gemmini", "tpu_v1")
BEGIN, END = "<!-- table of benchmarks.machines -->\n", "<!-- end of the table -->"


def column(preset: str) -> dict[str, float]:
    """What takes energy [uJ] in the layer's least energy, and what else one asks of it."""
    scenario = read_scenario("resnet50").replace(preset=preset, objective={"kind": "energy"})
    report = run_scenario(scenario)
    layer = next(layer for layer in report.to_dict()["layers"] if layer["name"] == LAYER)
    (part,) = layer["parts"]
    energy, cycles = part["energy"], part["latency_cycles"]
    rows = {"MACs": energy["mac"]}
    rows |= {f"SRAM, {name}": value for name, value in energy["sram"].items()}
    rows |= {f"DRAM, {name}": value for name, value in energy["dram"].items()}
    rows = {name: value / 1e6 for name, value in rows.items()}
    seconds = cycles / float(report.hardware.frequency) / 1e9
    return rows | {
        "in all": part["energy_pj"] / 1e6,
        "of the traffic objective": traffic(preset),
        "latency [us]": seconds * 1e6,
        "energy times delay [uJ ms]": part["energy_pj"] / 1e6 * seconds * 1e3,
    }


def traffic(preset: str) -> float:
    """Energy of the mapping that moves least [uJ]."""
    report = run_scenario(read_scenario("resnet50").replace(preset=preset, objective={"kind": "traffic"}))
    layer = next(layer for layer in report.to_dict()["layers"] if layer["name"] == LAYER)
    return layer["energy_pj"] / 1e6


def table() -> str:
    """The table in Markdown."""
    columns = {preset: column(preset) for preset in MACHINES}
    lines = [f"| uJ | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name in columns[MACHINES[0]]:
        lines.append(f"| {name} | {' | '.join(f'{rows[name]:,.2f}' for rows in columns.values())} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print it, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/machines.md")
    text, page = table(), ROOT / "docs" / "machines.md"
    print(text)
    if parser.parse_args().write:
        old = page.read_text()
        page.write_text(re.sub(f"({BEGIN}).*?({END})", rf"\g<1>{text}\g<2>", old, flags=re.DOTALL))


if __name__ == "__main__":
    main()
