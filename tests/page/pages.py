"""Pages of real runs that the tests look at."""

from dataclasses import replace

from solvers.cli.comparison import compare
from solvers.network.levels import run_scenario
from solvers.scenario.model import build_scenario
from solvers.views.page.document import Page

EVIL = '</script><script>document.title="broken"</script><img src=x onerror=alert(1)>'
"""A name as an exporter may write it."""
NETWORK = """\
name: tiny
input: [3, 24, 20]
layers:
  - {name: first, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: evil, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: sum, op: add, inputs: [first, evil]}
  - {name: down, op: conv, out_channels: 16, kernel: 3, stride: 2, padding: 1}
  - {name: up, op: deconv, out_channels: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1}
  - {name: gaps, op: deconv, out_channels: 2, kernel: 2, stride: 3}
  - {name: head, op: fc, out_channels: 10}
"""
FIELDS = {"hardware": {"bufsize": 4096}, "deconvolution": "split", "search_method": "exhaustive"}
SIZES = (2048, 4096, 8192)


def scenario(folder, **fields):
    """A scenario of the small network."""
    file = folder / "tiny.yaml"
    file.write_text(NETWORK)
    return build_scenario({"network": str(file), **FIELDS, **fields}, {}, "")


def ran(given):
    """What a run of a scenario found, as plain data, and its network, a layer of which has an evil name."""
    network = given.read_network()
    nodes = [
        replace(
            node,
            name=_evil(node.name),
            inputs=tuple(map(_evil, node.inputs)),
            layer=node.layer and replace(node.layer, name=_evil(node.layer.name)),
        )
        for node in network.nodes
    ]
    network = replace(network, name=f"tiny {EVIL}", nodes=tuple(nodes))
    return run_scenario(given, network=network).to_dict(), network


def _evil(name):
    return EVIL if name == "evil" else name


def curve(folder):
    """Traffic against the buffer's size, one run a size."""
    results = {size: ran(scenario(folder, hardware={"bufsize": size}))[0] for size in SIZES}

    def stairs(of):
        return {
            "points": [{"buffer_bytes": s, "value": of(r)["traffic_bytes"]} for s, r in results.items()],
            "compulsory": of(results[4096])["compulsory_bytes"],
            "bound": [{"buffer_bytes": s, "value": of(r)["compulsory_bytes"]} for s, r in results.items()],
        }

    names = [layer["name"] for layer in results[4096]["layers"]]
    layers = [{"name": n, **stairs(lambda r, i=i: r["layers"][i])} for i, n in enumerate(names)]
    total = stairs(lambda r: r["totals"])
    return {"network": "tiny", "target": "traffic", "unit": "bytes", "layers": layers, "total": total}


def pareto(folder):
    """Latency against traffic, one run for each tolerance."""
    kinds = [{"kind": "balanced", "tolerance": t} for t in (0, 0.05)] + [{"kind": "traffic"}]
    results = [ran(scenario(folder, objective=kind))[0] for kind in kinds]

    def points(found):
        return [{k: data[k] for k in ("latency_cycles", "traffic_bytes")} for data in found]

    names = [layer["name"] for layer in results[0]["layers"]]
    layers = [{"name": n, "points": points([r["layers"][i] for r in results])} for i, n in enumerate(names)]
    return {"network": "tiny", "layers": layers, "total": {"points": points([r["totals"] for r in results])}}


def sweep(folder):
    """Size and bandwidth."""
    rows = []
    for size in SIZES:
        for speed in (1.6, 25.6):
            machine = {"bufsize": size, "memory_bandwidth": speed}
            totals = ran(scenario(folder, hardware=machine))[0]["totals"]
            rows.append(
                {
                    **{f"hardware.{name}": value for name, value in machine.items()},
                    **{name: totals[name] for name in ("latency_cycles", "traffic_bytes")},
                    "reason": EVIL if speed < 2 else None,
                }
            )
    return {"axes": ["hardware.bufsize", "hardware.memory_bandwidth"], "rows": rows}


def everything(folder):
    """A page with all that a page can have."""
    levels = {
        "layers": {"deconvolution": "combine"},
        "resident": {"network_level": "resident", "objective": {"kind": "traffic"}},
        "fused": {"network_level": "fused", "objective": {"kind": "traffic"}},
    }
    return Page(
        title=f"tiny {EVIL}",
        results=[(level, *ran(scenario(folder, **fields))) for level, fields in levels.items()],
        comparisons=[compare(scenario(folder), ("static", "exhaustive")).to_dict()],
        curve=curve(folder),
        pareto=pareto(folder),
        sweep=sweep(folder),
    )
