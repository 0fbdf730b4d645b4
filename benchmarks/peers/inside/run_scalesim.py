"""SCALE-Sim on layers without padding: compute cycles and SRAM accesses. Runs in SCALE-Sim's environment."""

import csv
import json
import sys
from pathlib import Path

from scalesim.scale_sim import scalesim

CONFIG = """
[general]
run_name = peers
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {cols}
IfmapSramSzkB: 8192
FilterSramSzkB: 8192
OfmapSramSzkB: 8192
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: {dataflow}
Bandwidth: 100000
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
FilterCustomLayout: False
IfmapSRAMBankBandwidth: 100000
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterSRAMBankBandwidth: 100000
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
TOPOLOGY = (
    "Layer, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides, Ratio,\n"
)
ACCESSES = {"ifmap": " SRAM IFMAP Reads", "weights": " SRAM Filter Reads", "ofmap": " SRAM OFMAP Writes"}


def topology(layers):
    """The layers as SCALE-Sim's table; square strides only, as it has them."""
    rows = []
    for n, layer in enumerate(layers):
        sizes = *layer["in"], *layer["kernel"], layer["in_channels"], layer["out_channels"]
        rows.append(f"L{n}, {', '.join(map(str, sizes))}, {layer['stride'][0]}, 1:1,\n")
    return TOPOLOGY + "".join(rows)


def column(name, fields):
    """Named columns of one of the reports."""
    with open(Path("out", "peers", name)) as file:
        return [
            {key: int(float(row[field])) for key, field in fields.items()} for row in csv.DictReader(file)
        ]


def main(task):
    """What SCALE-Sim reports for each layer."""
    Path("config.cfg").write_text(CONFIG.format(**task))
    Path("layers.csv").write_text(topology(task["layers"]))
    ones = ", 1" * 20
    layout = "".join(f"L{n}{ones},\n" for n in range(len(task["layers"])))
    Path("layout.csv").write_text(f"Layer,\n{layout}")
    files = {"config": "config.cfg", "topology": "layers.csv", "layout": "layout.csv"}
    scalesim(save_disk_space=True, verbose=False, **files).run_scale(top_path="out")
    cycles = column("COMPUTE_REPORT.csv", {"cycles": " Total Cycles", "stalls": " Stall Cycles"})
    words = column("DETAILED_ACCESS_REPORT.csv", ACCESSES)
    return [c | w for c, w in zip(cycles, words, strict=True)]


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(main(given)))
