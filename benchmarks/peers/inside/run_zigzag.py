"""ZigZag: its mapper's best for one layer. Runs in its environment.

Energy is one for a word between DRAM and SRAM and nothing else costs any, so that the least energy is the
least traffic. One unit computes, so that the array does not constrain the tiles.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import yaml
from zigzag.api import get_hardware_performance_zigzag

PORTS = {"fh": "w_port_1", "fl": "w_port_2", "tl": "r_port_1", "th": "r_port_2"}
SPATIAL = {"D1": ["K, 1"], "D2": ["C, 1"]}


def memory(name, size, cost, bits):
    """A memory of all three operands, with a port for each direction."""
    ports = []
    for way, port in PORTS.items():
        kind = "write" if port.startswith("w") else "read"
        whose = ("O",) if way in ("fl", "th") else ("I1", "I2", "O")
        wide = {"bandwidth_min": bits, "bandwidth_max": bits}
        ports.append({"name": port, "type": kind, **wide, "allocation": [f"{o}, {way}" for o in whose]})
    fields = {"size": size, "r_cost": cost, "w_cost": cost, "area": 0, "latency": 1, "ports": ports}
    fields |= {"operands": ["I1", "I2", "O"], "served_dimensions": ["D1", "D2"]}
    return {name: fields | {"auto_cost_extraction": False}}


def accelerator(bits, width):
    """SRAM of so many bits and DRAM."""
    array = {"unit_energy": 0, "unit_area": 0, "dimensions": ["D1", "D2"], "sizes": [1, 1]}
    levels = memory("sram", bits, 0, width) | memory("dram", 10**12, 1, width)
    return {"name": "peers", "memories": levels, "operational_array": array}


def workload(layer, bits):
    """A layer in ZigZag's form, its padding part of the input."""
    (oy, ox), (fy, fx), (sy, sx), (iy, ix) = (layer[k] for k in ("out", "kernel", "stride", "in"))
    sizes = {"B": 1, "K": layer["out_channels"], "G": 1, "OX": ox, "OY": oy, "C": layer["in_channels"]}
    sizes |= {"FX": fx, "FY": fy}
    return [
        {
            "id": 0,
            "name": "layer",
            "operator_type": "Conv",
            "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
            "dimension_relations": [f"ix={sx}*ox+1*fx", f"iy={sy}*oy+1*fy"],
            "loop_dims": list(sizes),
            "loop_sizes": list(sizes.values()),
            "operand_precision": dict.fromkeys(("I", "W", "O", "O_final"), bits),
            "operand_source": {"I": 0, "W": 0},
            "pr_loop_dims": ["IX", "IY"],
            "pr_loop_sizes": [ix, iy],
            "padding": [[0, 0], [0, 0]],
        }
    ]


def main(task):
    """DRAM words by operand of the mapping with least energy, and seconds."""
    links = {"O": "O", "W": "I2", "I": "I1"}
    files = {
        "accelerator": accelerator(task["sram_bits"], task["bits"]),
        "workload": workload(task["layer"], task["bits"]),
        "mapping": [{"name": "default", "spatial_mapping": SPATIAL, "memory_operand_links": links}],
    }
    for name, data in files.items():
        Path(f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    started = perf_counter()
    energy, _, found = get_hardware_performance_zigzag(
        "workload.yaml",
        "accelerator.yaml",
        "mapping.yaml",
        opt="energy",
        dump_folder="out",
        lpf_limit=task["lpf_limit"],
        temporal_mapping_type="uneven",
        loma_show_progress_bar=False,
    )
    seconds = perf_counter() - started
    best = found[0][1][0][0]
    words = {}
    for operand, levels in best.memory_word_access.items():
        words[str(operand)] = {str(k): v for k, v in vars(levels[-1]).items()} if levels else {}
    return {"seconds": seconds, "total": float(energy), "words": json.loads(json.dumps(words, default=str))}


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(main(given)))
