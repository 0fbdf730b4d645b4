"""Pictures of one result show what it says, whatever the names are; same input, same bytes."""

import json

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import solvers
from solvers.scenario import read_scenario
from solvers.views.plots.bars import layers, parts
from solvers.views.plots.picture import encoded, show
from solvers.views.plots.report import report_pictures
from solvers.views.plots.roofline import roofline
from solvers.views.plots.runs import runs, shares
from tests.plots.texts import elements, texts

HOSTILE = {
    "a": "<script>alert(1)</script>",
    "up": r"$\frac{$ %s {} & $x$",
    "gaps": "null\0 and\nnewline \u202e",
    "head": "_\u5c42" + "very-long-" * 30 + "end",
}


@pytest.fixture
def report(tiny):
    return solvers.run_scenario(read_scenario(tiny))


def drawn(picture):
    """The axes of a picture, drawn into a figure that nobody else has."""
    return show(picture, Figure(figsize=picture.size, layout="constrained"))


def lines(ax):
    """Points of every line that has a legend."""
    return {
        line.get_label(): list(zip(*map(list, line.get_data()), strict=True))
        for line in ax.get_lines()
        if not line.get_label().startswith("_")
    }


def bars(ax):
    """Lengths of the bars of every kind, row by row."""
    return {group.get_label(): [bar.get_width() for bar in group] for group in ax.containers}


def test_every_layer_is_at_its_place_under_the_roof(report):
    data = report.to_dict()
    (ax,) = drawn(roofline(data))
    shown = lines(ax)
    points = [point for label, points in shown.items() if "limits" in label for point in points]
    expected = [(y["macs"] / y["traffic_bytes"], y["macs"] / y["latency_cycles"]) for y in data["layers"]]
    assert len(points) == len(expected)
    for one, other in zip(sorted(points), sorted(expected), strict=True):
        assert one == pytest.approx(other)
    for intensity, speed in points:
        assert speed <= min(256, 25.6 * intensity) * (1 + 1e-9)
    assert "16 x 16 array: 256 MACs per cycle at 1 GHz" in shown
    numbers = {word for text in ax.texts for word in text.get_text().replace("-", ", ").split(", ")}
    assert {int(word) for word in numbers} <= {1, 2, 3, 4}


def test_parts_are_what_the_mappings_take(report):
    data = report.to_dict()
    (ax,) = drawn(parts(data))
    pieces = [part for layer in data["layers"] for part in layer["parts"] if part["mapping"]]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [f"{p['name']} x{p['count']}" if p["count"] > 1 else p["name"] for p in pieces]
    for tensor, label in (("ifmap", "I: ifmap"), ("ofmap", "O: ofmap"), ("weights", "W: weights")):
        sizes = [part["mapping"]["partition_bytes"][tensor] / 1024 for part in pieces]
        assert bars(ax)[label] == pytest.approx(sizes)


def test_bars_of_layers_add_up_to_cycles_and_bytes(report):
    data = report.to_dict()
    latency, traffic = drawn(layers(data))
    cycles, moved = bars(latency), bars(traffic)
    total = [sum(pair) for pair in zip(cycles["the array works"], cycles["it waits"], strict=True)]
    assert total == pytest.approx([y["latency_cycles"] / 1000 for y in data["layers"]])
    assert moved["compulsory"] == pytest.approx([y["compulsory_bytes"] / 1000 for y in data["layers"]])
    total = [sum(pair) for pair in zip(moved["compulsory"], moved["beyond it"], strict=True)]
    assert total == pytest.approx([y["traffic_bytes"] / 1000 for y in data["layers"]])
    for run in runs(data):
        assert run.latency_bound <= run.latency
        assert run.traffic_bound <= run.traffic


@pytest.mark.parametrize("treatment", ["naive", "combine"])
def test_other_treatments_of_deconvolutions_have_their_rows(tiny, treatment):
    data = solvers.run_scenario(read_scenario(tiny).replace(deconvolution=treatment)).to_dict()
    assert [run.name for run in runs(data)] == ["a", "up", "gaps", "head"]
    assert sum(run.traffic for run in runs(data)) == pytest.approx(data["totals"]["traffic_bytes"])
    assert {share.name.partition("/")[0] for share in shares(data)} == {"a", "up", "gaps", "head"}
    assert all(0 < s.ifmap + s.ofmap + s.weights <= 4096 for s in shares(data))


def test_a_stack_has_one_row_with_all_that_it_holds(tmp_path):
    layers = [{"name": f"c{n}", "op": "conv", "out_channels": 8, "kernel": 3, "padding": 1} for n in range(3)]
    (tmp_path / "net.yaml").write_text(json.dumps({"name": "net", "input": [8, 24, 24], "layers": layers}))
    fields = "network: net.yaml\nhardware: {bufsize: 8192}\nnetwork_level: fused\nobjective: traffic\n"
    (tmp_path / "s.yaml").write_text(fields)
    data = solvers.run_scenario(tmp_path / "s.yaml").to_dict()
    stacks = {stack["name"]: stack for stack in data["stacks"]}
    assert stacks
    assert sum(run.traffic for run in runs(data)) == pytest.approx(data["totals"]["traffic_bytes"])
    assert sum(run.macs for run in runs(data)) == data["totals"]["macs"]
    for share in shares(data):
        if share.name in stacks:
            assert share.ifmap + share.ofmap + share.weights == stacks[share.name]["buffer_bytes"]
    named = set(stacks) | {y["name"] for y in data["layers"] if y["stack"] is None}
    for picture in (roofline(data), parts(data)):
        assert named <= set(texts(encoded(picture)[f"{picture.name}.svg"]))


def test_what_moves_nothing_is_at_the_right_edge(report):
    data = json.loads(json.dumps(report.to_dict()))
    data["layers"][0]["traffic_bytes"] = 0
    (ax,) = drawn(roofline(data))
    rightmost = max(x for label, points in lines(ax).items() if "limits" in label for x, _ in points)
    assert rightmost == pytest.approx(ax.get_xlim()[1] / 1.1)


def test_names_stay_text(report):
    data = json.loads(json.dumps(report.to_dict()))
    data["network"] = "<b>$"
    for layer in data["layers"]:
        for part in layer["parts"]:
            part["name"] = HOSTILE[layer["name"]]
        layer["name"] = HOSTILE[layer["name"]]
    for picture in report_pictures(data):
        svg = encoded(picture)[f"{picture.name}.svg"]
        assert "script" not in elements(svg)
        assert "b" not in elements(svg)
        shown = texts(svg)
        assert any(text.startswith("<b>$: ") for text in shown)
        for name in ("<script>alert(1)</script>", r"$\frac{$ %s {} & $x$", "null? and?newline ?"):
            assert any(text.removesuffix(" x4") == name for text in shown), (name, shown)
        (long,) = {text for text in shown if text.startswith("_\u5c42")}
        assert long.endswith("end")
        assert len(long) == 40


def test_nothing_that_fits_is_an_empty_picture(tiny):
    data = solvers.run_scenario(read_scenario(tiny).replace(bufsize=10)).to_dict()
    assert not runs(data)
    for picture in report_pictures(data):
        shown = texts(encoded(picture)[f"{picture.name}.svg"])
        assert any("no mapping: 4 of 4" in text for text in shown)


def test_same_input_same_bytes_whatever_the_users_style_is(report):
    data = report.to_dict()
    once = encoded(roofline(data))
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "svg.fonttype": "path"}):
        again = encoded(roofline(data))
        assert matplotlib.rcParams["font.size"] == 20
    assert once == again


def test_a_report_hands_out_axes(report):
    from matplotlib import pyplot

    figure = Figure(figsize=(9, 5), layout="constrained")
    left, right = figure.subfigures(1, 2)
    ax = report.plot.parts(left)
    assert isinstance(ax, Axes)
    assert ax.figure is left
    assert len(report.plot.layers(right)) == 2
    new = report.plot.roofline()
    assert pyplot.fignum_exists(new.figure.number)
    assert new.get_xlabel() == "operational intensity [MACs per byte of DRAM traffic]"
    pyplot.close(new.figure)


def test_parts_differ_in_print_without_colour(report):
    (ax,) = drawn(parts(report.to_dict()))
    greys = []
    for group in list(ax.containers)[:3]:
        red, green, blue, _ = group[0].get_facecolor()
        greys.append(0.299 * red + 0.587 * green + 0.114 * blue)
    assert min(abs(one - other) for i, one in enumerate(greys) for other in greys[:i]) > 0.15
    assert len({group[0].get_hatch() for group in list(ax.containers)[:3]}) == 3
