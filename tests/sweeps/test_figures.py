"""The figures of answers, and the sums of points, beside what JSON has of the same run."""

import pickle
from dataclasses import replace

import pytest

from dnns.layer import Deconvolution
from formulation.bounds import _cube_root
from formulation.deconv import Treatment
from solvers import run_scenario
from solvers.exploring.sweeping.kept.figures import figures
from solvers.exploring.sweeping.kept.rows import rows_of
from solvers.exploring.sweeping.points import solved_point
from solvers.network.attempt import Failure
from solvers.network.plan import plan_of
from solvers.network.work import Method, failed
from solvers.scenario import read_scenario

GROUPS = "  - {name: b, op: conv, out_channels: 4, kernel: 3, padding: 1, groups: 2}\n"


def replies(report):
    """The answers in the order of ``Questions.in_turn``."""
    yield from (part.result for layer in report.layers for part in layer.parts if part.result is not None)
    if report.scenario.treatment is Treatment.COMBINE:
        for layer in report.layers:
            if isinstance(layer.operator, Deconvolution):
                yield layer.weighed or Failure(layer.error)


def check(report):
    """Hold the rows made of figures, as another process sends them, against those of the JSON."""
    scenario, data = report.scenario, report.to_dict()
    found = [pickle.loads(pickle.dumps(figures(reply))) for reply in replies(report)]
    plan = plan_of(report.graph, scenario)
    made = solved_point(report.network, plan, scenario.treatment, found)
    assert made == rows_of(data["network"], data["complete"], data["layers"], data["totals"])
    return made["point"]


@pytest.mark.parametrize("treatment", list(Treatment))
@pytest.mark.parametrize(
    "more",
    [{}, {"streaming": True, "bufsize": 700}, {"static": True}, {"bufsize": 20}],
)
def test_figures_are_those_of_the_json_and_so_are_the_sums(tiny, treatment, more):
    network = tiny.with_name("tiny.yaml")
    network.write_text(network.read_text().replace("  - {name: head", f"{GROUPS}  - {{name: head"))
    widths = {"ifmap": 8, "weights": 4, "ofmap": 9, "partial_sums": 17}
    awkward = {"frequency": 0.7654321, "bit_width": widths, "deconvolution": treatment.value, **more}
    point = check(run_scenario(read_scenario(tiny).replace(**awkward)))
    assert point["complete"] is (more.get("bufsize") != 20)


@pytest.mark.parametrize("treatment", [Treatment.SPLIT, Treatment.COMBINE])
def test_what_failed_is_told_and_not_counted(tiny, treatment):
    report = run_scenario(read_scenario(tiny).replace(deconvolution=treatment.value))
    first, second, *others = report.layers
    (part,) = first.parts
    lost = failed(Method("exhaustive"), part.result.problem, "lost")
    layers = [replace(first, parts=(replace(part, result=lost),)), second, *others]
    if treatment is Treatment.COMBINE:
        layers[1] = replace(second, shared=None, weighed=None, error="lost too")
    point = check(replace(report, layers=tuple(layers)))
    assert point["status"] == "failed"
    assert point["macs"] < sum(layer.macs for layer in report.layers)


def test_problems_that_are_sent_share_what_they_share(tiny):
    problems = [
        part.result.problem for layer in run_scenario(tiny).layers for part in layer.parts if part.result
    ]
    sent = [pickle.loads(pickle.dumps(problem)) for problem in problems]
    assert sent == problems
    assert all(one.hardware is sent[0].hardware for one in sent)


@pytest.mark.parametrize("root", [0, 1, 2, 10**6 + 3, (1 << 80) + 1, (1 << 99) + 7, (1 << 120) + 1])
def test_cube_roots_are_exact(root):
    assert [_cube_root(root**3 + more) for more in (0, 1)] == [root, root + (root == 0)]
    if root:
        assert _cube_root(root**3 - 1) == root - 1
