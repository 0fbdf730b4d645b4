# ruff: noqa: E501
"""A tolerance over the network: the total traffic is the least of all within the cap, and so it is said."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.errors import InputError
from dnns.layer import Node
from formulation.pricing.objective import Objective
from formulation.problem import Problem
from solvers import solve
from solvers.network.levels import run_scenario
from solvers.network.plan import Part, Planned
from solvers.network.slack import Programs, shared_out
from solvers.run import main
from solvers.scenario import read_scenario
from tests.conformance.reference import layer_prices
from tests.strategies import examples, hardware, layers


def pareto(prices):
    """Pairs that no other beats in both."""
    found = []
    for latency, traffic, _ in sorted(prices, key=lambda price: price[:2]):
        if not found or traffic < found[-1][1]:
            found.append((latency, traffic))
    return found


def least(fronts, counts, tolerance):
    """Cap [cycles] and least total traffic within it [bits], of all choices."""
    fastest = sum(Fraction(count * front[0][0]) for front, count in zip(fronts, counts, strict=True))
    cap, totals = Objective(tolerance=tolerance).loosened(fastest), []
    for chosen in product(*fronts):
        latency = sum(count * point[0] for point, count in zip(chosen, counts, strict=True))
        if latency <= cap:
            totals.append(sum(count * point[1] for point, count in zip(chosen, counts, strict=True)))
    return cap, min(totals)


@examples(40)
@given(
    st.lists(st.tuples(layers(most=4, channels=4, most_axes=2), st.integers(1, 3)), min_size=1, max_size=3),
    hardware(set_up=True),
    st.sampled_from([Fraction(0), Fraction(1, 20), Fraction(1, 2)]),
    st.sampled_from(["exhaustive", "exact"]),
)
def test_no_choice_of_mappings_within_the_cap_moves_less(drawn, machine, tolerance, method):
    counts = [count for _, count in drawn]
    drawn = [replace(layer, name=f"l{i}", count=1) for i, (layer, _) in enumerate(drawn)]
    fronts = [pareto(layer_prices(layer, machine, None)) for layer in drawn]
    plan = [
        Planned(
            Node(layer.name, "conv", ("input",), (1,), layer),
            (Part(layer.name, layer, count, layer.ofmap_words),),
            machine,
        )
        for layer, count in zip(drawn, counts, strict=True)
    ]
    given_plan, slack = shared_out(plan, Objective(tolerance=tolerance), Programs())
    fitting = [i for i, front in enumerate(fronts) if front]
    if not fitting:
        assert slack is None
        return
    cap, traffic = least([fronts[i] for i in fitting], [counts[i] for i in fitting], tolerance)
    assert slack.taken.traffic == slack.taken.bound == traffic
    more = [offer.traffic for offer in slack.more]
    assert more == sorted(more, reverse=True)
    assert all(offer.bound == offer.traffic <= traffic for offer in slack.more)
    results = {
        i: solve(Problem(drawn[i], machine, given_plan[i].parts[0].objective), method=method) for i in fitting
    }
    assert sum(counts[i] * result.cost.latency_cycles for i, result in results.items()) <= cap
    assert sum(counts[i] * result.cost.traffic_bytes for i, result in results.items()) == Fraction(traffic, 8)


def test_the_line_under_the_table_says_what_more_would_buy(capsys):
    assert main(["resnet50", "--tolerance_over", "network"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "within 1 % of the least latency, kept by the network as a whole" in text
    assert "traffic bytes (bound: compulsory) 99,253,188" in text
    assert (
        "within 1 % of the network's least latency, least traffic proven; within 2 %: -5.66 % traffic for"
        in text
    )


def test_a_network_without_any_front_is_refused_and_split_brings_it_in():
    scenario = read_scenario("dcgan").replace(tolerance_over="network")
    with pytest.raises(
        InputError, match="tolerance_over: network, but all layers are deconvolutions that may"
    ):
        run_scenario(scenario)
    report = run_scenario(scenario.replace(deconvolution="split"))
    assert report.slack.taken.bound == report.slack.taken.traffic
    assert report.slack.outside == ()


def test_what_has_no_front_keeps_the_tolerance_by_itself():
    scenario = read_scenario("enet")
    report, apart = run_scenario(scenario.replace(tolerance_over="network")), run_scenario(scenario)
    shared = [(a, b) for a, b in zip(report.layers, apart.layers, strict=True) if a.weighed is not None]
    assert [a.operator.name for a, _ in shared] == list(report.slack.outside)
    assert all(a.total("traffic_bytes") == b.total("traffic_bytes") for a, b in shared)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--objective", "latency"], "tolerance_over: the objective is latency, allowed with: balanced"),
        (["--static"], "tolerance_over: network, with a given partition (static), allowed: a free one"),
        (["--search_method", "constrained"], "tolerance_over: network, with constrained, allowed with: exhaustive, exact"),
    ],
)  # fmt: skip
def test_where_it_has_no_meaning_it_is_refused(tiny, capsys, options, message):
    assert main([str(tiny), "--tolerance_over", "network", *options]) == 2
    assert message in capsys.readouterr().err
