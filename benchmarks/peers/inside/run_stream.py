"""Stream on a chain of convolutions: words to and from its off-chip memory. Runs in Stream's environment.

One core of 16 x 16 units with one SRAM, and an off-chip memory behind a bus.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import onnx
import yaml
from onnx import TensorProto, helper
from stream.api import SolveOptions, evaluate_mapping

PORTS = {"fh": "w_port_1", "fl": "w_port_2", "tl": "r_port_1", "th": "r_port_2"}


def memory(size, width):
    """A memory of all three operands, with a port for each direction."""
    ports = []
    for way, port in PORTS.items():
        kind = "write" if port.startswith("w") else "read"
        whose = ("O",) if way in ("fl", "th") else ("I1", "I2", "O")
        wide = {"bandwidth_min": width, "bandwidth_max": width}
        ports.append({"name": port, "type": kind, **wide, "allocation": [f"{o}, {way}" for o in whose]})
    fields = {"size": size, "r_cost": 1, "w_cost": 1, "area": 0, "latency": 1, "ports": ports}
    return fields | {"operands": ["I1", "I2", "O"], "served_dimensions": ["D1", "D2"]}


def hardware(sram_bits, bits):
    """Files of the machine; returns the name of the one that holds it together."""
    Path("cores").mkdir()
    array = {"unit_energy": 0, "unit_area": 0, "dimensions": ["D1", "D2"]}
    core = {"name": "core", "type": "compute", "memories": {"sram": memory(sram_bits, 16 * bits)}}
    core["operational_array"] = array | {"sizes": [16, 16]}
    core["operand_precision"] = {"input": "int16", "accumulator": "int16"}
    off = {"name": "offchip", "type": "zigzag.offchip", "memories": {"dram": memory(10**12, bits)}}
    off["operational_array"] = array | {"sizes": [0, 0]}
    machine = {"name": "peers", "cores": {0: "core.yaml", 1: "offchip.yaml"}, "offchip_core_id": 1}
    machine |= {"unit_energy_cost": 0}
    machine["core_connectivity"] = [{"type": "bus", "cores": [0, 1], "bandwidth": 16 * bits}]
    for name, data in (("cores/core", core), ("cores/offchip", off), ("machine", machine)):
        Path(f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return "machine.yaml"


def network(layers):
    """The chain as an ONNX file of 16-bit integers, without padding."""
    nodes, weights = [], []
    for n, layer in enumerate(layers):
        shape = [layer["out_channels"], layer["in_channels"], *layer["kernel"]]
        weights.append(helper.make_tensor_value_info(f"w{n}", TensorProto.FLOAT16, shape))
        names = {"inputs": [f"t{n}", f"w{n}"], "outputs": [f"t{n + 1}"], "name": f"conv{n}"}
        nodes.append(
            helper.make_node(
                "Conv", **names, kernel_shape=layer["kernel"], strides=layer["stride"], pads=[0, 0, 0, 0]
            )
        )
    first, last = layers[0], layers[-1]
    shapes = [1, first["in_channels"], *first["in"]], [1, last["out_channels"], *last["out"]]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape)
        for name, shape in zip(("t0", f"t{len(layers)}"), shapes, strict=True)
    ]
    inits = [
        helper.make_tensor(
            w.name,
            TensorProto.FLOAT16,
            dims := [d.dim_value for d in w.type.tensor_type.shape.dim],
            b"\0" * (2 * dims[0] * dims[1] * dims[2] * dims[3]),
            raw=True,
        )
        for w in weights
    ]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(onnx.shape_inference.infer_shapes(model), "chain.onnx")
    return "chain.onnx"


def main(task):
    """Off-chip words by tensor, cycles and seconds."""
    machine, chain = hardware(task["sram_bits"], task["bits"]), network(task["layers"])
    options = SolveOptions(artifacts=False, time_limit_s=task["time_limit"], **task.get("options", {}))
    started = perf_counter()
    found = evaluate_mapping(machine, chain, "out", options=options)
    seconds = perf_counter() - started
    words = {}
    for group in found.context.get("group_memory_accesses").values():
        for core in group["cores"]:
            if core["is_offchip"]:
                for tensor in core["tensors"]:
                    name = tensor["tensor"]
                    words[name] = words.get(name, 0) + tensor["read"] + tensor["write"]
    return {"seconds": seconds, "cycles": found.cycles, "words": words, "groups": len(found.group_cycles)}


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(main(given), default=str))
