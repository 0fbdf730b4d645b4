"""``python -m solvers.pareto``: fronts of latency and traffic, or energy: of layers and of a network."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from dnns.terminal.options import LineParser
from dnns.terminal.streams import guarded
from solvers.cli.explored import add_options, check_files, handed_out
from solvers.run import check_pictures, progress, started

if TYPE_CHECKING:
    from rich.console import Console

    from solvers.exploring.fronts import Fronts, LayerFront, Sums
    from solvers.scenario import Scenario
    from solvers.views.plots.picture import Picture

#: The other quantity of a pair: its field, how many of its unit the table's unit is, that.
_OTHERS = {"traffic": ("traffic_bytes", 10**6, "MB"), "energy": ("energy_pj", 10**6, "uJ")}
_DRAWN = 2000  # points of a front
_SHARES = ("0", "0.001", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10")


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    p = LineParser(
        prog="python -m solvers.pareto",
        description="The front of latency and DRAM traffic, or energy: every pair that no other choice of "
        "mappings beats in both, of each layer and of the network layer by layer; exact.",
        epilog="Exit code: 0 done, 2 bad input, 3 a layer does not fit.",
    )
    p.add_argument("scenario", help="scenario file (.yaml); its method and objective do not matter here")
    text = "what is compared: latency and DRAM traffic, or latency and energy"
    pairs = tuple(f"latency,{name}" for name in _OTHERS)
    p.add_argument("--quantities", default=pairs[0], choices=pairs, help=text)
    add_options(p, "the fronts, with the mappings,", "point")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _main(parser().parse_args(argv)))


def _main(args: argparse.Namespace) -> int:
    check_files(args)
    check_pictures(args.plots, args.report)
    with started(args.jobs) as workers, progress(args.quiet) as notify:
        from formulation.network.frontiers.front import Pair
        from formulation.pricing.objective import quantity_named
        from solvers.exploring.fronts import fronts
        from solvers.scenario import read_scenario

        scenario, (_, name) = read_scenario(args.scenario), args.quantities.split(",")
        found = fronts(scenario, Pair(quantity_named(name)), layer=args.layer, workers=workers, notify=notify)
    outputs = [(args.outfile, partial(_json, found)), (args.csv, partial(_csv, found))]
    if args.report is not None:
        outputs.append((args.report, partial(_page, found, scenario)))
    pictures = None if found.total is None else partial(_pictures, found)
    size = f"{found.hardware.buffer_bytes:,} bytes"
    unfit = (f"{name}: does not fit {size}" for name in found.unfit)
    return handed_out(args, outputs, partial(_text, found), pictures, unfit)


def _page(found: Fronts, scenario: Scenario, stream: IO[str]) -> None:
    from solvers.views.page.reports import exploration_page

    title, command = f"{found.network}: latency and {_name(found)}", "python -m solvers.pareto scenario.yaml"
    exploration_page(title, scenario, command, stream, pareto=pairs_dict(found))


def _pictures(found: Fronts) -> Iterable[Picture]:
    from solvers.views.plots.fronts import front_pictures

    return front_pictures(pairs_dict(found))


def fronts_dict(found: Fronts) -> dict[str, Any]:
    """The fronts as JSON has them; ``choice`` has the place of each layer's point in its own front."""
    total = None
    if found.total is not None:
        choices = found.total.terms.tolist()
        points = zip(_points(found, found.total), choices, strict=True)
        total = {"points": [{**point, "choice": choice} for point, choice in points]}
    return {
        "network": found.network,
        **_quantities(found),
        "deconvolution": "split" if found.split else None,
        "layers": [_layer_dict(found, layer) for layer in found.layers],
        "total": total,
    }


def pairs_dict(found: Fronts) -> dict[str, Any]:
    """The fronts without what is behind them, as pictures and pages take them: at most ``_DRAWN`` points."""
    layers = [{"name": y.name, "points": list(_points(found, thinned(y.sums)))} for y in found.layers]
    total = None if found.total is None else {"points": list(_points(found, thinned(found.total)))}
    return {"network": found.network, **_quantities(found), "layers": layers, "total": total}


def _name(found: Fronts) -> str:
    """Of the quantity that is compared besides latency."""
    return found.pair.other.name


def _quantities(found: Fronts) -> dict[str, Any]:
    """What is compared, where it is not latency and traffic."""
    return {} if _name(found) == "traffic" else {"quantities": ["latency", _name(found)]}


def thinned(sums: Sums) -> Sums:
    """As many of the points as can be told apart in a picture, evenly, both ends included."""
    if len(sums) <= _DRAWN:
        return sums
    at = [i * (len(sums) - 1) // (_DRAWN - 1) for i in range(_DRAWN)]
    return replace(sums, latency=sums.latency[at], other=sums.other[at], terms=sums.terms[at])


def _points(found: Fronts, sums: Sums) -> Iterator[dict[str, Any]]:
    from solvers.result import number

    tick, (field, *_) = found.hardware.tick, _OTHERS[_name(found)]
    for latency, other in zip(sums.latency.tolist(), sums.other.tolist(), strict=True):
        yield {
            "latency_cycles": number(tick.cycles(latency)),
            field: number(Fraction(other, found.pair.other.per_unit(found.hardware))),
        }


def _layer_dict(found: Fronts, layer: LayerFront) -> dict[str, Any]:
    from solvers.network.data.mappings import mapping_dict

    machine, names = layer.planned.machine, [p.name for p in layer.planned.parts if p.layer is not None]
    points = []
    for place, point in enumerate(_points(found, layer.sums)):
        mappings = (mapping_dict(w.layer, w.mapping, w.parts(machine)) for w in layer.ways(place))
        parts = [{"name": n, "mapping": m} for n, m in zip(names, mappings, strict=True)]
        points.append({**point, "parts": parts})
    return {"name": layer.name, "points": points}


def _json(found: Fronts, stream: IO[str]) -> None:
    json.dump(fronts_dict(found), stream, separators=(",", ":"))  # there may be very many points
    stream.write("\n")


def _csv(found: Fronts, stream: IO[str]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("layer", "latency_cycles", _OTHERS[_name(found)][0]))
    total = [] if found.total is None or len(found.layers) == 1 else [("", found.total)]
    for name, sums in (*((layer.name, layer.sums) for layer in found.layers), *total):
        writer.writerows((name, *point.values()) for point in _points(found, sums))


def _text(found: Fronts) -> str:
    from dnns.terminal.tables import Title, fitted, printed, put

    only = found.layers[0] if len(found.layers) == 1 and not found.unfit else None
    other, unit = _name(found), _OTHERS[_name(found)][2]
    titles: list[Title] = [
        ("latency\nkcycles", "right"),
        ("above the least\n%", "right"),
        (f"{other}\n{unit}", "right"),
        ("saved\n%", "right"),
    ]

    def prints(console: Console) -> None:
        whose = found.network if only is None else f"{found.network}, {only.name}"
        console.print(f"{whose}: latency and {other} that nothing beats in both, layer by layer, exact")
        if found.split:
            console.print("Deconvolutions are split; that they share ifmap tiles is not looked at here.")
        if found.total is None:
            console.print("No sum: some layer does not fit.")
            return
        put(console, fitted(titles, list(_rows(found, found.total)), (1, 3), console))
        console.print(f"{len(found.total):,} points in all (--outfile and --csv have them)")

    return printed(prints)


def _rows(found: Fronts, sums: Sums) -> Iterator[tuple[str, ...]]:
    """The points of some latencies above the least; the last has the least of the other quantity."""
    latency, other, tick = sums.latency.tolist(), sums.other.tolist(), found.hardware.tick
    unit = _OTHERS[_name(found)][1] * found.pair.other.per_unit(found.hardware)
    caps = (Fraction(latency[0]) * (1 + Fraction(share)) for share in _SHARES)
    for place in dict.fromkeys([*(bisect_right(latency, cap) - 1 for cap in caps), len(sums) - 1]):
        yield (
            f"{float(tick.cycles(latency[place])) / 1000:,.1f}",
            f"{100 * (latency[place] / latency[0] - 1):,.2f}",
            f"{other[place] / unit:,.2f}",
            f"{100 * (1 - other[place] / other[0]):,.2f}" if other[0] else "-",
        )


if __name__ == "__main__":
    sys.exit(main())
