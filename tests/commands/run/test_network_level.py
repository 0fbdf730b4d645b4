"""``--network_level``: tables, JSON, CSV, dumped programs, and what is refused."""

import csv
import json
from fractions import Fraction

import pytest
import yaml

import solvers
from solvers.run import main

LAYERS = [
    {"name": "a", "op": "conv", "out_channels": 8, "kernel": 3, "padding": 1},
    {"name": "up", "op": "deconv", "out_channels": 4, "kernel": 4, "stride": 2, "padding": 1},
    {"name": "p", "op": "pool", "kernel": 2, "stride": 2},
    {"name": "b", "op": "conv", "out_channels": 8, "kernel": 3, "padding": 1},
    {"name": "s", "op": "add", "inputs": ["b", "a"]},
    {"name": "c", "op": "fc", "out_channels": 10},
]


@pytest.fixture
def scenario(tmp_path):
    (tmp_path / "net.yaml").write_text(
        yaml.safe_dump({"name": "net", "input": [4, 12, 12], "layers": LAYERS})
    )
    data = {"network": "net.yaml", "hardware": {"bufsize": 16384}, "network_level": "resident"}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(data))
    return tmp_path / "s.yaml"


def run(scenario, *options):
    path = scenario.parent / "out.json"
    assert main([str(scenario), "--quiet", "--outfile", str(path), *options]) == 0
    return json.loads(path.read_text())


def plain(data):
    totals = {k: v for k, v in data["totals"].items() if not k.endswith("seconds")}
    return {**data, "totals": totals}


@pytest.mark.parametrize("objective", ["latency", "traffic", "balanced", "weighted", "energy"])
@pytest.mark.parametrize("level", ["resident", "fused"])
def test_totals_are_sums_and_proven(scenario, objective, level):
    data = run(scenario, "--objective", objective, "--network_level", level)
    totals = data["totals"]
    assert data["network_level"] == level
    stacked = [layer for layer in data["layers"] if layer["stack"] is not None]
    alone = [layer for layer in data["layers"] if layer["stack"] is None]
    assert [name for stack in data["stacks"] for name in stack["layers"]] == [y["name"] for y in stacked]
    for name in ("traffic_bytes", "latency_cycles", "energy_pj"):
        pieces = [*alone, *data["stacks"]]
        assert totals[name] == pytest.approx(sum(piece[name] for piece in pieces))
        for layer in alone:
            if layer["deconvolution"] != "combine":  # whose tiles, and numbers, are the layer's
                assert layer[name] == pytest.approx(sum(part[name] for part in layer["parts"]))
    for stack in data["stacks"]:
        inside = [layer for layer in stacked if layer["stack"] == stack["name"]]
        assert sum(layer["traffic_bytes"] for layer in inside) == stack["traffic_bytes"]
        assert sum(y["parts"][0]["compute_cycles"] for y in inside) == stack["compute_cycles"]
        kept = sum(y["parts"][0]["weights"]["bytes"] for y in inside)
        assert kept + sum(made["bytes"] for made in stack["buffer"]) == stack["buffer_bytes"] <= 16384
    assert totals["gap"] == 0
    assert totals["solution_status"] == "optimal"
    assert totals["compulsory_bytes"] <= totals["traffic_bytes"]
    first = {"latency": "latency_cycles", "balanced": "latency_cycles"}.get(objective, "traffic_bytes")
    first = "energy_pj" if objective == "energy" else first
    assert totals["least_energy_pj"] <= totals["energy_pj"]
    if objective != "weighted":
        assert totals["lower_bound"][first] <= totals[first] <= totals[f"{first}_layers"] * 1.01
    assert all(tensor["bytes"] <= 16384 for tensor in data["tensors"])


@pytest.mark.parametrize("level", ["resident", "fused"])
def test_energy_is_least_if_it_is_asked_for(scenario, level, capsys):
    options, path = (
        ("--network_level", level, "--energy", "1", "0.5", "20", "100"),
        scenario.parent / "e.json",
    )
    assert main([str(scenario), *options, "--objective", "energy", "--outfile", str(path)]) == 0
    (line,) = (line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(" energy"))
    least = json.loads(path.read_text())["totals"]
    weights = ("--objective", "weighted", "--weights", "0", "0", "2")
    others = [("--objective", name) for name in ("latency", "traffic")]
    every = [run(scenario, *options, *goal)["totals"]["energy_pj"] for goal in (weights, *others)]
    assert least["energy_pj"] == every[0] == min(every)
    assert least["energy_delay_js"] == pytest.approx(least["energy_pj"] * least["latency_cycles"] * 1e-21)
    assert float(line[2]) == pytest.approx(least["energy_pj"] / 1e6, abs=0.1)


def test_energy_is_the_same_from_two_processes(scenario):
    options = ("--objective", "energy")
    assert plain(run(scenario, *options, "--jobs", "2")) == plain(run(scenario, *options))


def test_what_stays_moves_nothing(scenario):
    data = run(scenario, "--objective", "traffic")
    stays = {tensor["name"]: tensor for tensor in data["tensors"]}
    by_name = {layer["name"]: layer for layer in data["layers"]}
    assert "p" in stays
    assert (stays["p"]["from"], stays["p"]["to"]) == ("up", "b")
    assert by_name["b"]["on_chip"][0] == "p"
    assert by_name["b"]["parts"][0]["traffic"]["ifmap"] == 0
    assert by_name["b"]["parts"][0]["mapping"]["partition_bytes"]["ifmap"] == 0


@pytest.mark.parametrize("level", ["resident", "fused"])
def test_weights_that_stay_for_good_save_energy(scenario, level):
    options = ("--network_level", level, "--energy", "1", "0.5", "20", "0", "--objective", "energy")
    before, data = run(scenario, *options), run(scenario, *options, "--weights_resident")
    totals, held = data["totals"], sum(weights["bytes"] for weights in data["weights"])
    assert held > 0
    assert totals["energy_pj"] <= before["totals"]["energy_pj"] - 8 * held * 20.5  # each bit of theirs once
    assert totals["energy_pj"] == totals["lower_bound"]["energy_pj"]
    assert totals["least_energy_pj"] <= totals["energy_pj"]
    assert totals["energy_pj_layers"] == before["totals"]["energy_pj_layers"]
    pieces = [*(y for y in data["layers"] if y["stack"] is None), *data["stacks"]]
    assert totals["energy_pj"] == pytest.approx(sum(piece["energy_pj"] for piece in pieces))


@pytest.mark.parametrize("level", ["resident", "fused"])
def test_weights_that_stay_for_good_move_nothing(scenario, capsys, level):
    options = ("--objective", "traffic", "--network_level", level)
    before, path = run(scenario, *options), scenario.parent / "w.json"
    assert main([str(scenario), *options, "--weights_resident", "--outfile", str(path)]) == 0
    text, data = capsys.readouterr().out, json.loads(path.read_text())
    by_name = {layer["name"]: layer for layer in data["layers"]}
    totals, staying = data["totals"], [name for weights in data["weights"] for name in weights["layers"]]
    assert data["scenario"]["weights_resident"] is True
    assert "weights" not in before
    assert {"a", "up"} <= set(staying) < set(by_name)  # 720 and 1024 bytes of 16 KiB; the last layer's never
    assert all(not part["traffic"]["weights"] for name in staying for part in by_name[name]["parts"])
    held = sum(weights["bytes"] for weights in data["weights"])
    assert all(layer["held_bytes"] >= held for layer in data["layers"])
    assert totals["solution_status"] == "optimal"
    assert totals["traffic_bytes"] == totals["lower_bound"]["traffic_bytes"]
    assert totals["compulsory_bytes"] <= totals["traffic_bytes"] <= before["totals"]["traffic_bytes"] - held
    assert totals["traffic_bytes_layers"] == before["totals"]["traffic_bytes_layers"]
    assert plain(data) == plain(run(scenario, *options, "--weights_resident", "--jobs", "2"))
    assert f"inference after inference: {len(staying)} of {len(by_name)} weights stay for good" in text
    if level == "resident":
        row = next(line for line in text.splitlines() if line.startswith(" a "))
        assert " W " in row


@pytest.mark.parametrize("level", ["resident", "fused"])
def test_nothing_depends_on_the_number_of_processes(scenario, level):
    options = ("--network_level", level)
    assert plain(run(scenario, *options)) == plain(run(scenario, *options, "--jobs", "2"))


def test_fused_is_no_worse_and_says_what_it_gains(scenario, capsys):
    path, options = scenario.parent / "out.csv", ("--objective", "traffic", "--bufsize", "2500")
    resident = run(scenario, *options)["totals"]
    data = run(scenario, *options, "--network_level", "fused")
    totals = data["totals"]
    assert totals["traffic_bytes"] <= totals["traffic_bytes_single"] <= resident["traffic_bytes"]
    assert totals["traffic_bytes"] < totals["traffic_bytes_single"]  # a test of nothing otherwise
    assert main([str(scenario), *options, "--network_level", "fused", "--csv", str(path)]) == 0
    text = capsys.readouterr().out
    assert "single layers" in text
    for stack in data["stacks"]:
        sizes = "x".join(map(str, (stack["band_rows"], *stack["strip_sizes"])))
        row = next(line for line in text.splitlines() if line.startswith(f" {stack['name']} "))
        assert row.split()[len(stack["name"].split()) :][:2] == [sizes, "bands"]
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert sum(Fraction(row["traffic_bytes"]) for row in rows) == totals["traffic_bytes"]


def test_stacks_of_one_layer_if_asked_for(scenario):
    options = ("--objective", "traffic", "--network_level", "fused", "--longest_stack", "1")
    data = run(scenario, *options)
    assert data["longest_stack"] == 1
    assert all(len(stack["layers"]) == 1 for stack in data["stacks"])
    assert data["totals"]["traffic_bytes"] == data["totals"]["traffic_bytes_single"]


def test_the_table_and_one_csv_line_for_each_part(scenario, capsys):
    path = scenario.parent / "out.csv"
    assert main([str(scenario), "--csv", str(path)]) == 0
    text = capsys.readouterr().out
    assert "nothing stays" in text
    assert "any schedule" in text
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["layer"] for row in rows] == ["a", *["up"] * (len(rows) - 3), "b", "c"]
    assert [row["layer"] for row in rows if row["deconvolution"] == "combine"] == ["up"] * 4
    once = {(row["layer"], row["traffic_bytes"]) for row in rows}  # where tiles are shared, the layer's
    assert sum(Fraction(traffic) for _, traffic in once) == Fraction(
        str(solvers.run_scenario(scenario).to_dict()["totals"]["traffic_bytes"])
    )


@pytest.mark.parametrize(
    ("level", "more"), [("resident", []), ("fused", []), ("fused", ["--weights_resident"])]
)
def test_another_solver_finds_the_same_in_the_dumped_programs(scenario, level, more):
    pyscipopt = pytest.importorskip("pyscipopt")
    folder = scenario.parent / "models"
    data = run(scenario, "--dump-models", str(folder), "--network_level", level, *more)
    first, second, third = sorted(folder.glob("*.lp"))
    assert [path.name for path in (first, second, third)] == [
        f"net.{stage}.lp" for stage in ("1.latency", "2.traffic", "3.latency")
    ]
    for path, total in (
        (second, 8 * data["totals"]["traffic_bytes"]),
        (first, None),
        (third, None),
    ):
        model = pyscipopt.Model()
        model.hideOutput()
        model.readProblem(str(path))
        model.optimize()
        head = next(line for line in path.read_text().splitlines() if " * objective" in line)
        floor, unit = head.split("= ")[1].split(" * ")[0].split(" + ")
        if total is not None:
            assert int(floor) + float(unit) * model.getObjVal() == pytest.approx(total, abs=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--static"], "network_level: got resident with a given partition"),
        (["--search_method", "combined"], "network_level: got resident with combined"),
        (["--network_level", "fused", "--static"], "network_level: got fused with a given partition"),
        (
            ["--longest_stack", "3"],
            "longest_stack: got 3 with network_level resident, which has no stacks, allowed with: fused",
        ),
        (
            ["--network_level", "fused", "--burst_bytes", "64"],
            "got fused on a machine with burst_bytes, which counts for layers one by one only",
        ),
        (
            ["--network_level", "layers", "--weights_resident"],
            "weights_resident: got true with network_level layers, where nothing stays,",
        ),
        (["--network_level", "all"], "--network_level: got 'all', allowed: 'layers', 'resident' or 'fused'"),
    ],
)
def test_what_holds_only_layer_by_layer_is_refused(scenario, capsys, options, message):
    assert main([str(scenario), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_layers_that_do_not_fit_are_named(scenario, capsys):
    assert main([str(scenario), "--bufsize", "100", "--bit_width", "64"]) == 3
    done = capsys.readouterr()
    assert "a: does not fit: its smallest tile needs" in done.err


def test_at_the_time_limit_the_best_so_far_is_returned_with_a_bound(scenario):
    totals = run(scenario, "--time_limit", "0.0001")["totals"]
    assert totals["lower_bound"]["latency_cycles"] <= totals["latency_cycles"]
    assert totals["traffic_bytes"] > 0


def test_a_program_that_is_not_begun_in_time_costs_only_the_proof(scenario, monkeypatch):
    monkeypatch.setattr("solvers.network.resident.choose._LEAST_SECONDS", 0.0)
    totals = run(scenario, "--network_level", "fused", "--time_limit", "1e-9")["totals"]
    assert totals["termination"] == "time_limit"
    assert totals["solution_status"] == "feasible"
    assert totals["lower_bound"]["latency_cycles"] <= totals["latency_cycles"]


@pytest.mark.parametrize("level", ["resident", "fused"])
def test_frontiers_that_are_left_unfinished_prove_nothing_of_the_map_space(scenario, level, monkeypatch):
    from formulation.network.frontiers import frontier

    monkeypatch.setattr(frontier, "_FIRST", 1)  # a look at the clock after every tile
    options = ("--objective", "traffic", "--network_level", level)
    whole = run(scenario, *options)["totals"]
    totals = run(scenario, *options, "--time_limit", "1e-9")["totals"]
    assert (whole["termination"], whole["solution_status"]) == ("optimal", "optimal")
    assert (totals["termination"], totals["solution_status"]) == ("time_limit", "feasible")
    assert totals["lower_bound"]["traffic_bytes"] == totals["compulsory_bytes"]
    assert totals["compulsory_bytes"] <= whole["traffic_bytes"] <= totals["traffic_bytes"]
    gap = 1 - totals["compulsory_bytes"] / totals["traffic_bytes"]
    assert totals["gap"] == pytest.approx(gap)
