"""The checker: it accepts what runs claim, bounds every mapping from below, and accepts nothing false."""

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution, Layer
from formulation.hardware import BitWidths, Hardware
from formulation.problem import Kind, Objective, Problem
from solvers import check, solve
from solvers.certificates.certificate import certified
from solvers.network.data.posed import chosen, posed
from solvers.run import main
from solvers.shared.deconvolution import combine
from tests.certificates.corruption import corrupted, is_true, told
from tests.shared.test_cost import small_problems
from tests.strategies import examples, mappings, problems

SMALL = Problem(
    Layer("small", 4, 3, (Axis(4, 3, 1, 1, 1, 1, 4), Axis(3, 2, 2, 1, 0, 0, 6))),
    Hardware(2, 3, 150, Fraction(2), bits=BitWidths(8, 8, 8, 16)),
)


def proven(entry):
    """Whether the checker accepts an entry."""
    try:
        check.verified(entry)
    except (check.Unproven, *check.FOREIGN):
        return False
    return True


@examples(60)
@given(problems(most=5, channels=5, set_up=True))
def test_what_an_exact_method_claims_is_proven_to_the_last_word(problem):
    result = solve(problem, "exhaustive")
    assume(result.mapping is not None)
    entry = json.loads(json.dumps({"name": "x", **certified(result)}))
    assert "gap 0.00%" in check.verified(entry)
    assert Fraction(entry["claims"][-1]["bound"]) == Fraction(entry["value"]) == result.objective_value


@examples(100)
@given(st.data())
def test_the_checkers_costs_and_bounds_are_those_of_mappings(data):
    problem = data.draw(problems(most=5, channels=5, set_up=True))
    mapping = data.draw(mappings(problem.layer, problem.hardware))
    model, tile = check.Model(posed(replace(problem, objective=Objective(Kind.ENERGY)))), mapping.tile
    sizes = (tile.out_channels, tile.in_channels, tile.batch, *tile.spatial)
    way = mapping.stationary, 0 if mapping.sliding_axis is None else mapping.sliding_axis + 1
    cost, bits = problem.evaluate(mapping), problem.hardware
    exact = (cost.latency_ticks, cost.traffic_bits, cost.array.bits(bits))
    box = [(t, t) for t in sizes]
    assert model.least(way, box) == (problem.is_feasible(cost), *exact)
    assert check.dot(model.worth, (*exact, 1)) == cost.energy_pj(problem.hardware)
    around = zip(sizes, model.whole, strict=True)
    box = [(data.draw(st.integers(1, t)), data.draw(st.integers(t, extent))) for t, (_, extent) in around]
    fits, *costs = model.least(way, box)
    assert fits or not problem.is_feasible(cost)
    assert all(low <= high for low, high in zip(costs, exact, strict=True))


@examples(30)
@given(small_problems(), st.data())
def test_the_better_of_sharing_and_splitting_is_certified(problem, data):
    result = combine(problem.deconv, problem.hardware, problem.objective, problem.partition)
    assume(result.total is not None and result.split_total is not None)
    entry = json.loads(json.dumps({"name": "x", **certified(result)}))
    assert "NOT" not in check.verified(entry)
    assert Fraction(entry["value"]) == problem.objective_value(result.total)
    if result.shared.mapping is not None:
        mapping, cost = result.shared.mapping, result.shared.cost
        model = check.Model(entry)
        *costs, ports = model.price(entry["shared"]["mapping"])
        assert costs == [cost.latency_ticks, cost.traffic_bits]
        assert ports in (cost.array.bits(problem.hardware), 0)
        sizes = (mapping.round_count, mapping.in_channels, mapping.batch, *mapping.spatial)
        around = zip(sizes, model.whole, strict=True)
        box = [(data.draw(st.integers(1, t)), data.draw(st.integers(t, extent))) for t, (_, extent) in around]
        slide = 0 if mapping.sliding_axis is None else mapping.sliding_axis + 1
        fits, *low = model.least((mapping.stationary, slide), box)
        assert fits
        assert low[0] <= cost.latency_ticks
        assert low[1] <= cost.traffic_bits


@examples(40)
@given(problems(most=5, channels=5, set_up=True), st.sampled_from(check.ORDERS), st.data())
def test_no_multipliers_prove_what_is_false(problem, order, data):
    """Whatever prices and point: a step above the least of all mappings is not proven of them all."""
    result = solve(replace(problem, objective=Objective(Kind.TRAFFIC)), "exhaustive")
    assume(result.mapping is not None and result.mapping.stationary == order)
    model, chosen_mapping = check.Model(posed(result.problem)), chosen(result.mapping)
    assume(all(row[1] for table in model.dims[2:] for row in table))  # no logarithm of tiles without input
    claim = check.Claim(model, result.objective_value, None, False, {})
    claim.bound += claim.grain
    way = order, chosen_mapping["slide"]
    rows = [[Fraction(data.draw(st.integers(1, 40)), 8) for _ in table[0]] for table in model.dims]
    rooms = [Fraction(data.draw(st.integers(0, 9)), data.draw(st.integers(1, 9))) for _ in range(3)]
    claim.duals["d"] = told(model, way, model.whole, [Fraction(0), *rooms], claim.worth, rows)
    assert not claim.dual(way, model.whole, "d")
    claim.bound = claim.grain * -(10**9)
    assert claim.dual(way, model.whole, "d")


@examples(40)
@given(problems(most=6, channels=8, set_up=True))
def test_what_the_relaxation_claims_is_proven_with_its_multipliers(problem):
    result = solve(problem, "constrained")
    assume(result.mapping is not None)
    entry = json.loads(json.dumps({"name": "x", **certified(result)}))
    assert "NOT" not in check.verified(entry)
    assert Fraction(entry["claims"][-1]["bound"]) == result.lower_bound.of(problem.objective.claim)
    for claim in entry["claims"]:
        leaves = " ".join(claim["trees"].values()).split()
        assert set(claim["duals"]) <= set(leaves)


def test_the_classes_of_a_layer_are_closed_by_multipliers():
    """The bound of a real layer rests on them; without the coefficients of the problem it is not proven."""
    axis = Axis(28, 3, 1, 1, 1, 1, 28)
    problem = Problem(Layer("conv", 128, 128, (axis, axis)), Hardware(buffer_bytes=65536))
    problem = replace(problem, objective=Objective(Kind.TRAFFIC))
    entry = json.loads(json.dumps({"name": "x", **certified(solve(problem, "constrained"))}))
    (claim,) = entry["claims"]
    assert len(claim["duals"]) >= 3
    assert check.verified(entry).startswith("traffic ")
    name, dual = next(iter(claim["duals"].items()))
    first, *rest = dual["coefficients"]
    numbers = first.split()
    at = next(i for i, x in enumerate(numbers) if x != "0")
    numbers[at] = str(Fraction(numbers[at]) + 1)
    dual["coefficients"] = [" ".join(numbers), *rest]
    with pytest.raises(check.Unproven, match=rf"\({name}, tiles "):
        check.verified(entry)


DECONV = Deconvolution("up", 2, 2, (TransposedAxis(3, 3, 2, pad_lo=1, pad_hi=1, output_padding=1),))


def test_what_is_only_written_counts_in_the_cap():
    """Outputs that no tap reaches take time beside the rounds; the bound is then that of the optimum."""
    deconv = Deconvolution("up", 4, 3, (TransposedAxis(4, 3, 2), TransposedAxis(3, 1, 2)))
    answer = combine(deconv, Hardware(2, 3, 300, Fraction(4)), Objective(tolerance=Fraction(1, 20)))
    assert answer.shared.problem.aside > 0
    assert "gap 0.00%" in check.verified(json.loads(json.dumps({"name": "up", **certified(answer)})))


def test_where_nothing_is_left_open_the_bound_is_the_price():
    """Of tiles shared in a single round, and of a few tiles, whose least factors are those of one of them."""
    entry = json.loads(json.dumps({"name": "x", **certified(combine(DECONV, SMALL.hardware, Objective()))}))
    model = check.Model(entry)
    box, sizes = [(1, 1), (2, 2), (1, 1), (2, 2)], [2, 1, 2]
    for order in check.ORDERS:
        mapping = {"tile": sizes, "rounds": [[2], [2]], "stationary": order, "slide": 0}
        assert model.least((order, 0), box) == (True, *model.price(mapping))
    for low, high in combinations((1, 2, 3), 2):
        each = [model.spatial((3, 3), ((t, t), (1, 1))) for t in range(low, high + 1)]
        assert model.spatial((3, 3), ((low, high), (1, 1))) == min(each)


@pytest.mark.parametrize(
    ("kind", "method"),
    [*product(Kind, ("exhaustive", "constrained")), (Kind.BALANCED, "combine"), (Kind.WEIGHTED, "combine")],
)
def test_no_changed_field_makes_a_false_claim_proven(kind, method):
    objective, random, accepted = Objective(kind), Random(7), 0
    problem = replace(SMALL, objective=objective)
    shared = method == "combine"
    answer = combine(DECONV, SMALL.hardware, objective) if shared else solve(problem, method)
    entry = {"name": "small", **certified(answer)}
    assert proven(entry)
    assert is_true(entry)
    for _ in range(150):
        changed = corrupted(entry, random)
        if changed != entry and proven(changed):
            accepted += 1
            assert is_true(changed), changed
    assert accepted  # a change may make another true claim, as a weaker bound


def test_each_kind_of_false_claim_is_refused():
    good = {"name": "small", **certified(solve(SMALL, "exhaustive"))}
    claim = good["claims"][-1]
    stronger = {**claim, "bound": str(Fraction(claim["bound"]) + 1)}
    value = {**good, "value": str(Fraction(good["value"]) - 1)}
    cut = {**claim, "trees": {**claim["trees"], "input 0": claim["trees"]["input 0"].rsplit(" ", 1)[0]}}
    lone = {**claim, "trees": {**claim["trees"], "weight 0": "m"}}
    for changed, what in (
        ({**good, "claims": [good["claims"][0], stronger]}, r"claim 2, \w+: leaf \d+ \(m"),
        (value, "its mapping has"),
        ({**good, "claims": [good["claims"][0], cut]}, r"claim 2, input: leaf \d+ \(the end, tiles "),
        ({**good, "claims": [good["claims"][0], lone]}, r"claim 2, weight: leaf 1 \(m, tiles 1..4 x 1..3"),
    ):
        with pytest.raises(check.Unproven, match=what):
            check.verified(changed)


def test_a_slow_mapping_is_not_within_the_cap():
    good = {"name": "small", **certified(solve(SMALL, "exhaustive"))}
    good["mapping"] = {**good["mapping"], "tile": [1, 1, 1, 1, 1]}
    with pytest.raises(check.Unproven, match="slower than the cap"):
        check.verified(good)


@pytest.mark.parametrize("method", ["exhaustive", "constrained", "exact", "static"])
def test_a_network_is_certified_whatever_the_method(method, tiny, capsys):
    file = tiny.parent / "proof.json"
    options = ["--search_method", method, "--certificate", str(file), "--quiet"]
    assert main([str(tiny), *options]) == 0
    assert check.main([str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a: balanced ")
    assert all("NOT PROVEN" not in line for line in lines)
    assert lines[-1] == "gaps/2.2: nothing is claimed: outputs that no tap reaches are only written"


def test_the_checker_needs_nothing_else(tiny):
    """It runs as a file by itself, with no path to the project, and imports the standard library only."""
    file = tiny.parent / "proof.json"
    assert main([str(tiny), "--certificate", str(file), "--quiet"]) == 0
    source = Path(check.__file__)
    assert len(source.read_text().splitlines()) <= 300
    command = [sys.executable, "-I", "-S", str(source), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tiny.parent, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value: line 1"),
        ('{"format": "dnn', "Unterminated string starting at: line 1"),
        ("[1, 2]", "another format"),
        ('{"format": "other"}', "another format"),
        (json.dumps({"format": check.FORMAT, "layers": []}), "another format, or not all of it"),
        (
            json.dumps({"format": check.FORMAT, "layers": [{"name": "a", "layer": {}}], "left_out": []}),
            "a: a field is missing or not allowed: 'machine'",
        ),
    ],
)
def test_what_is_no_certificate_is_told_in_one_line(text, told, tmp_path, capsys):
    file = tmp_path / "foreign.json"
    file.write_text(text)
    assert check.main([str(file)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"{file}: {told}")
    assert err.endswith(f"; allowed: a {check.FORMAT}\n")


def test_a_false_claim_is_told_with_its_layer(tiny, capsys):
    file = tiny.parent / "proof.json"
    assert main([str(tiny), "--certificate", str(file), "--quiet"]) == 0
    data = json.loads(file.read_text())
    data["layers"][1]["claims"][1]["trees"]["output 0"] = "c"
    file.write_text(json.dumps(data))
    assert check.main([str(file)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "NOT PROVEN" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        f"{data['layers'][1]['name']}: NOT PROVEN: claim 2, output: leaf 1 (c, tiles 1.."
    )


def test_a_kernel_that_is_no_optimum_under_the_whole_weights_is_certified():
    """Each sub-convolution was solved in units of its own."""
    deconv = Deconvolution("up", 2, 10, (TransposedAxis(11, 5, 2), TransposedAxis(7, 5, 2)))
    kinds = {
        "latency_weight": Fraction(3, 10),
        "traffic_weight": Fraction(2, 5),
        "energy_weight": Fraction(3, 10),
    }
    machine = Hardware(4, 7, 200, Fraction(3, 10))
    result = combine(deconv, machine, Objective(Kind.WEIGHTED, **kinds), method="constrained")
    entry = json.loads(json.dumps(certified(result)))
    assert "NOT" not in check.verified({"name": "up", **entry})


def test_what_cannot_be_certified_is_refused(tiny, capsys):
    file = tiny.parent / "proof.json"
    assert main([str(tiny), "--certificate", str(file), "--network-level", "resident"]) == 2
    assert capsys.readouterr().err == "--certificate: network_level is resident, allowed: layers\n"
    assert not file.exists()


def test_deconvolutions_that_share_tiles_are_certified(tiny, capsys):
    file = tiny.parent / "proof.json"
    assert main([str(tiny), "--certificate", str(file), "--combine", "--quiet"]) == 0
    assert check.main([str(file)]) == 0
    out = capsys.readouterr().out
    assert "up: balanced " in out
    assert "nothing is claimed" not in out
