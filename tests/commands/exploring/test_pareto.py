"""``python -m solvers.pareto``: fronts against runs of every kind, and against plain sums."""

import csv
import json
from itertools import product

import pytest
import yaml

import solvers
from solvers.pareto import main
from solvers.scenario.model import build_scenario
from tests.commands.run.test_network_level import scenario  # noqa: F401


@pytest.fixture
def machine(scenario):  # noqa: F811
    """The machine of a scenario with an awkward bandwidth, layer by layer."""
    data = yaml.safe_load(scenario.read_text()) | {"network_level": "layers"}
    data["hardware"] = {
        "bufsize": 3000,
        "memory_bandwidth": 9.7654321,
        "sa_size": [4, 8],
        "transfer_setup": 3,
    }
    scenario.write_text(yaml.safe_dump(data))
    return scenario


def front(path, *options):
    out = path.parent / "front.json"
    assert main([str(path), "--quiet", "--outfile", str(out), *options]) == 0
    return json.loads(out.read_text())


def run(path, objective, deconvolution="split"):
    fields = yaml.safe_load(path.read_text()) | {
        "network": str(path.parent / "net.yaml"),
        "objective": objective,
        "deconvolution": deconvolution,
    }
    return solvers.run_scenario(build_scenario(fields, {}, "")).to_dict()


def pairs(line, other="traffic_bytes"):
    return [(point["latency_cycles"], point[other]) for point in line["points"]]


def unbeaten(found):
    kept = []
    for pair in sorted(found):
        if not kept or pair[1] < kept[-1][1]:
            kept.append(pair)
    return kept


@pytest.mark.parametrize("tolerance", [0, 0.02, 0.3, 1])
def test_a_run_finds_the_point_of_its_tolerance(machine, tolerance):
    data = front(machine)
    balanced = {"kind": "balanced", "tolerance": tolerance}
    found = run(machine, balanced)
    for line, layer in zip(data["layers"], found["layers"], strict=True):
        if len(layer["parts"]) > 1:
            continue  # each part keeps the tolerance by itself
        points = pairs(line)
        best = [point for point in points if point[0] <= (1 + tolerance) * points[0][0]][-1]
        assert (layer["latency_cycles"], layer["traffic_bytes"]) == pytest.approx(best, rel=1e-14)
    shared = run(machine, balanced | {"tolerance_over": "network"})["totals"]
    points = pairs(data["total"])
    best = [point for point in points if point[0] <= (1 + tolerance) * points[0][0]][-1]
    assert shared["traffic_bytes"] == best[1]


def test_the_ends_are_the_least(machine):
    points = pairs(front(machine)["total"])
    for objective, end in (("latency", points[0]), ("traffic", points[-1])):
        totals = run(machine, objective)["totals"]
        assert (totals["latency_cycles"], totals["traffic_bytes"]) == pytest.approx(end, rel=1e-14)


def test_the_front_of_energy(machine, capsys):
    """Its ends are what runs find; each layer's mappings take what their point says; sums are unbeaten."""
    options = ("--quantities", "latency,energy")
    data = front(machine, *options)
    assert data["quantities"] == ["latency", "energy"]
    points = pairs(data["total"], "energy_pj")
    assert len(points) > 10
    assert unbeaten(points) == points
    for objective, end in (("latency", points[0]), ("energy", points[-1])):
        totals = run(machine, objective)["totals"]
        assert totals["latency_cycles"] == pytest.approx(end[0], rel=1e-14)
        if objective == "energy":
            assert totals["energy_pj"] == pytest.approx(end[1], rel=1e-14)
    fronts = [pairs(line, "energy_pj") for line in data["layers"]]
    for point, pair in zip(data["total"]["points"], points, strict=True):
        chosen = [each[i] for each, i in zip(fronts, point["choice"], strict=True)]
        assert tuple(map(sum, zip(*chosen, strict=True))) == pytest.approx(pair)
    pictures, page = machine.parent / "pictures", machine.parent / "front.html"
    assert main([str(machine), *options, "--plots", str(pictures), "--report", str(page)]) == 0
    assert "latency and energy that nothing beats in both" in capsys.readouterr().out
    assert "energy in pJ" in page.read_text()
    with pytest.raises(SystemExit):
        main([str(machine), "--quantities", "traffic,energy"])
    assert capsys.readouterr().err.count("\n") == 1


def test_the_network_has_the_sums_that_nothing_beats(machine):
    data = front(machine)
    fronts = [pairs(line) for line in data["layers"]]
    assert len(fronts) == 4
    assert all(unbeaten(points) == points for points in fronts)
    sums = [tuple(map(sum, zip(*choice, strict=True))) for choice in product(*fronts)]
    wanted, found = (
        unbeaten([(round(latency, 6), traffic) for latency, traffic in many])  # last digits differ
        for many in (sums, pairs(data["total"]))
    )
    assert len(found) == len(data["total"]["points"]) > 10
    assert found == wanted
    for point in data["total"]["points"]:
        chosen = [points[i] for points, i in zip(fronts, point["choice"], strict=True)]
        assert point["traffic_bytes"] == sum(pair[1] for pair in chosen)


def test_mappings_cost_what_their_point_says(machine):
    from formulation.evaluation import evaluate
    from formulation.mapping import Mapping, Stationary, Tile

    data = front(machine, "--layer", "b")
    (line,) = data["layers"]
    network = build_scenario({"network": str(machine.parent / "net.yaml")}, {}, "").read_network()
    (layer,) = [found for found in network.layers if found.name == "b"]
    hardware = build_scenario(yaml.safe_load(machine.read_text()), {}, str(machine)).hardware.build()
    for point in line["points"]:
        (part,) = point["parts"]
        tile, mapping = part["mapping"]["tile"], part["mapping"]
        size = Tile(tile["out_channels"], tile["in_channels"], tile["batch"], tuple(tile["spatial"]))
        cost = evaluate(
            layer, hardware, Mapping(size, Stationary(mapping["stationary"]), mapping["sliding_axis"])
        )
        assert cost.traffic_bytes == point["traffic_bytes"]
        assert float(cost.latency_cycles) == point["latency_cycles"]
        assert sum(mapping["partition_bytes"].values()) <= 3000


def test_csv_and_table(machine, capsys):
    lines = machine.parent / "front.csv"
    assert main([str(machine), "--csv", str(lines), "--jobs", "2"]) == 0
    text = capsys.readouterr().out
    assert "net: latency and traffic that nothing beats in both" in text
    assert "Deconvolutions are split" in text
    data = front(machine)
    rows = list(csv.DictReader(lines.read_text().splitlines()))
    total = [row for row in rows if not row["layer"]]
    assert [float(row["traffic_bytes"]) for row in total] == [pair[1] for pair in pairs(data["total"])]
    assert f"{len(total):,} points in all" in text


def test_pictures_and_a_page(machine):
    pictures, page = machine.parent / "pictures", machine.parent / "front.html"
    front(machine, "--plots", str(pictures), "--report", str(page))
    files = {file.name for file in pictures.iterdir()}
    assert files == {f"pareto{which}.{form}" for which in ("", "_layers") for form in ("png", "svg")}
    assert "net: latency and traffic" in page.read_text()


def test_what_does_not_fit_is_named(machine, capsys):
    machine.write_text(machine.read_text().replace("3000", "20"))
    assert main([str(machine)]) == 3
    printed = capsys.readouterr()
    assert "does not fit 20 bytes" in printed.err
    assert "No sum" in printed.out


def test_bad_input_in_one_line(machine, capsys):
    assert main([str(machine), "--layer", "q"]) == 2
    assert capsys.readouterr().err == "--layer: got q, allowed: a, up, b, c\n"


def test_a_picture_has_so_many_points_at_most(monkeypatch, machine):
    from solvers import pareto
    from solvers.exploring.fronts import fronts
    from solvers.scenario import read_scenario

    found = fronts(read_scenario(machine))
    monkeypatch.setattr(pareto, "_DRAWN", 5)
    drawn, every = pairs(pareto.pairs_dict(found)["total"]), pairs(pareto.fronts_dict(found)["total"])
    assert len(every) > 10
    assert len(drawn) == 5
    assert set(drawn) <= set(every)
    assert (drawn[0], drawn[-1]) == (every[0], every[-1])
