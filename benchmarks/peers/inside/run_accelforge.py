"""AccelForge: its mapper's best, or its price of a mapping. Runs in AccelForge's environment.

Energy is one for a bit between DRAM and SRAM and nothing else costs any, so that the least energy is the
least traffic. The ifmap has its padding in it.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

from accelforge import Metrics, Spec
from accelforge.mapper.FFM import map_workload_to_arch
from accelforge.model.main import evaluate_mapping

MEMORY = """
  - !Memory
    name: {name}
    size: {size}
    leak_power: 0
    area: 0
    tensors: {tensors}
    actions:
    - {{name: read, energy: {energy}, throughput: inf, latency: 0}}
    - {{name: write, energy: {energy}, throughput: inf, latency: 0}}
"""
COMPUTE = """
  - !Compute
    name: MAC
    leak_power: 0
    area: 0
    actions:
    - {name: compute, energy: 0, throughput: 1, latency: 0}
"""


def architecture(bits):
    """DRAM, an SRAM of so many bits for all tensors, and a unit that computes."""
    kept = "{keep: ~Intermediates, may_keep: All}"
    levels = (("DRAM", "inf", kept, 1), ("SRAM", bits, "{keep: All}", 0))
    names = ("name", "size", "tensors", "energy")
    return (
        "arch:\n  nodes:"
        + "".join(MEMORY.format(**dict(zip(names, v, strict=True))) for v in levels)
        + COMPUTE
    )


def size_of(layer, rank):
    """Extent of a rank of a layer."""
    sizes = {"m": layer["out_channels"], "c": layer["in_channels"]}
    sizes |= dict(zip("pq", layer["out"], strict=True)) | dict(zip("rs", layer["kernel"], strict=True))
    return sizes[rank]


def position(layer, axis, n):
    """Where an output reads its input along an axis; no sum where the kernel is 1."""
    out, stride, kernel = "pq"[axis], layer["stride"][axis], layer["kernel"][axis]
    place = f"{out}{n}" if stride == 1 else f"{stride} * {out}{n}"
    return place if kernel == 1 else f"{place} + {'rs'[axis]}{n}"


def workload(layers, bits):
    """Layers as Einsums, each reading what the one before makes: tensors T0, T1, ..., weights W0, W1, ...

    Ranks m, p, q of one layer's output are c and positions of the next one's input, so each has its number.
    """
    ranges, einsums = [], []
    for n, layer in enumerate(layers):
        own = ranks(layer) if n == 0 else ranks(layer).replace("c", "")
        ranges += [f"{rank}{n}: 0 <= {rank}{n} < {size_of(layer, rank)}" for rank in own]
        c = "c0" if n == 0 else f"m{n - 1}"
        taps = "".join(f", {rank}{n}" for rank in own if rank in "rs")
        rows, cols = ("H", "V") if n == 0 else (f"P{n - 1}", f"Q{n - 1}")
        read = f"{{{c.upper()}: {c}, {rows}: {position(layer, 0, n)}, {cols}: {position(layer, 1, n)}}}"
        einsums += [
            f"  - name: Conv{n}",
            "    tensor_accesses:",
            f"    - {{name: T{n}, projection: {read}}}",
            f"    - {{name: W{n}, projection: [m{n}, {c}{taps}]}}",
            f"    - {{name: T{n + 1}, projection: [m{n}, p{n}, q{n}], output: True}}",
        ]
    head = ["workload:", "  iteration_space_shape:", *(f"    {line}" for line in ranges)]
    return "\n".join([*head, f"  bits_per_value: {{All: {bits}}}", "  einsums:", *einsums, ""])


def ranks(layer):
    """The ranks of a layer; a kernel of 1 has none."""
    return "".join(rank for rank in "mcpqrs" if rank not in "rs" or size_of(layer, rank) > 1)


def mapping(layer, nodes):
    """A mapping of one layer: what is stored where, and the loops, outermost first.

    Args:
        layer: gives the ranks.
        nodes: ``["store", level, tensors]`` or ``["loop", rank, tile]``.
    """
    lines = ["mapping:", "  nodes:"]
    for kind, what, value in nodes:
        if kind == "store":
            lines.append(f"  - !Storage {{component: {what}, tensors: [{', '.join(value)}]}}")
        else:
            lines.append(f"  - !Temporal {{rank_variable: {what}0, tile_shape: {value}}}")
    lines += [f"  - !Temporal {{rank_variable: {rank}0, tile_shape: 1}}" for rank in ranks(layer)]
    return "\n".join([*lines, "  - !Compute {einsum: Conv0, component: MAC}", ""])


def words(found, bits):
    """DRAM words by tensor, reads and writes."""
    totals = {}
    for name, value in found.data.iloc[0].items():
        parts = name.split("<SEP>")
        if parts[1:3] == ["action", "DRAM"]:
            key = f"{parts[3]} {parts[4]}"
            totals[key] = totals.get(key, 0) + float(value) / bits
    return totals


def read(task, *texts):
    """The specification, from files as AccelForge reads them."""
    names = []
    for n, text in enumerate(
        (architecture(task["sram_bits"]), workload(task["layers"], task["bits"]), *texts)
    ):
        names.append(f"part{n}.yaml")
        Path(names[-1]).write_text(text)
    return Spec.from_yaml(*names)


def main(task):
    """The words of a mapping if the task has one, else of the mapper's best with its seconds."""
    if "mapping" in task:
        found = evaluate_mapping(read(task, mapping(task["layers"][0], task["mapping"])))
        held = [v for k, v in found.data.iloc[0].items() if k.startswith("reservation<SEP>SRAM")]
        return {"words": words(found, task["bits"]), "sram": max(map(float, held), default=0.0)}
    spec = read(task)
    spec.mapper.metrics = Metrics.ENERGY
    started = perf_counter()
    best = map_workload_to_arch(spec, print_progress=False, eval_in_detail=False)
    seconds = perf_counter() - started
    least = float(best.data["Total<SEP>energy"].min()) / task["bits"]
    return {"seconds": seconds, "total": least}


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(main(given)))
