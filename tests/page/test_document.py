"""The page's data say what the result says; the file is whole, safe and the same every time."""

import io
import json
import re
import sys
from math import prod

import pytest
import yaml

import solvers
from dnns.errors import InputError
from solvers.compare import main as compare_main
from solvers.run import main
from solvers.scenario.model import build_scenario
from solvers.views.page.document import Page, page_data, write_page
from solvers.views.page.exploration import MOST_CHARACTERS, sweep_data
from solvers.views.page.graph import lane_of
from solvers.views.page.nest import loop_nest
from solvers.views.page.tiles import tile_extents
from tests.page.pages import EVIL, scenario, sweep

FIVE_MEGABYTES = 5_000_000


def text_of(page):
    stream = io.StringIO()
    write_page(page, stream)
    return stream.getvalue()


def data_in(html):
    """What the page's program reads."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(found)


PLANES = """\
name: planes
batch: 2
input: [8, 22, 14]
layers:
  - {name: a, op: conv, out_channels: 24, kernel: [3, 5], stride: [2, 1], padding: [1, 3]}
  - {name: b, op: conv, out_channels: 24, kernel: 3, groups: 24, dilation: 2}
  - {name: c, op: conv, out_channels: 40, kernel: 1}
  - {name: d, op: deconv, out_channels: 6, kernel: 5, stride: 3, padding: 1}
  - {name: e, op: fc, out_channels: 30}
"""
VOLUMES = """\
name: volumes
input: [4, 7, 8, 6]
layers:
  - {name: a, op: conv, out_channels: 12, kernel: 3, padding: 1}
  - {name: b, op: conv, out_channels: 20, kernel: 2, stride: 2}
  - {name: c, op: deconv, out_channels: 8, kernel: 3, stride: 2}
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Results with everything in them: groups, strides, dilation, matrix products, images, three axes."""
    folder, found = tmp_path_factory.mktemp("zoo"), []
    for text in (PLANES, VOLUMES):
        (folder / "net.yaml").write_text(text)
        for size, halo in ((1024, "refetch"), (6000, "reuse")):
            fields = {
                "network": str(folder / "net.yaml"),
                "search_method": "exhaustive",
                "deconvolution": "split",
            }
            given = build_scenario({**fields, "hardware": {"bufsize": size, "halo": halo}}, {}, "")
            found.append(solvers.run_scenario(given).to_dict())
    return found


def mapped(results):
    """Parts that have a mapping."""
    for result in results:
        for layer in result["layers"]:
            yield from (part for part in layer["parts"] if part["mapping"])


def test_the_tiles_in_the_picture_are_those_that_the_buffer_holds(zoo):
    looked_at = 0
    for part in mapped(zoo):
        size = {name: prod(extents) for name, extents in tile_extents(part).items()}
        assert {name: 2 * words * 16 / 8 for name, words in size.items()} == part["mapping"][
            "partition_bytes"
        ]
        looked_at += 1
    assert looked_at > 40


def test_a_loop_nest_moves_the_words_that_the_result_counts(zoo):
    """A tensor of W words in n tiles that is moved t times moves W*t/n words."""
    for part in mapped(zoo):
        trips, shape, groups = part["mapping"]["trips"], part["geometry"], part["groups"]
        taps, pixels, over = 1, shape["batch"], trips["batch"]
        for axis, count in zip(shape["axes"], trips["spatial"], strict=True):
            taps, pixels, over = taps * axis["kernel"], pixels * axis["ofmap"], over * count
        times = {}
        loops = []
        for line in loop_nest(part).splitlines():
            depth = (len(line) - len(line.lstrip())) // 2
            loops = loops[:depth]
            if line.lstrip().startswith("for "):
                loops.append(int(re.search(r"\d+ (?:tiles|groups)", line)[0].split()[0]))
                continue
            product = 1
            for count in loops:
                product *= count
            times[" ".join(line.split()[:2])] = product
        weights = groups * shape["out_channels"] * shape["in_channels"] * taps
        ofmap = groups * shape["out_channels"] * pixels
        tiles = groups * trips["out_channels"]
        writes = next(n for line, n in times.items() if line.startswith("write"))
        assert part["traffic"]["weights"] * tiles * trips["in_channels"] == weights * times["fetch weights"]
        assert part["traffic"]["ofmap_write"] * tiles * over == ofmap * writes
        assert ("fetch partial" in times) == (part["traffic"]["ofmap_read"] > 0)


def viewed(whole):
    """Each result of the page, beside what its program reads."""
    given = [result for _, result, _ in whole.results]
    return list(zip(given, page_data(whole)["results"], strict=True))


def test_what_is_on_the_chip_is_not_fetched(whole):
    result, data = viewed(whole)[1]
    kept = [view for view, layer in zip(data["layers"], result["layers"], strict=True) if layer["on_chip"]]
    nests = "\n".join(piece["nest"] for view in kept for piece in view["pieces"])
    assert "take from the chip ifmap" in nests
    assert any(
        room["kind"] == "stays" for view in kept for piece in view["pieces"] for room in piece["rooms"]
    )
    assert data["graph"]["held"]


def test_shares_and_totals_are_the_results(whole):
    for result, data in viewed(whole):
        totals, rows = result["totals"], [view["row"] for view in data["layers"]]
        assert sum(row["traffic"] for row in rows) == totals["traffic_bytes"]
        assert sum(row["traffic_share"] for row in rows) == pytest.approx(1)
        shown = [total["value"] for total in data["totals"]][:2]
        assert shown == [totals["latency_cycles"], totals["traffic_bytes"]]
        charts = {chart["title"]: chart["values"] for chart in data["charts"]}
        assert sum(r["cycles"] for r in charts["Cycles by layer"]) == pytest.approx(totals["latency_cycles"])
        assert sum(r["bytes"] for r in charts["Traffic by layer"]) == pytest.approx(totals["traffic_bytes"])


def test_nothing_in_the_buffer_is_more_than_it_holds(whole):
    for result, data in viewed(whole):
        pieces = [piece for view in data["layers"] for piece in view["pieces"] if piece["rooms"]]
        assert len(pieces) >= len(result["layers"])
        for piece in pieces:
            assert sum(room["bytes"] for room in piece["rooms"]) == result["hardware"]["bufsize"]


def test_the_graph_has_every_layer_and_the_skips(whole):
    result, data = viewed(whole)[0]
    graph = data["graph"]
    names = ["input", "first", EVIL, "sum", "down", "up", "gaps", "head"]
    assert [row["name"] for row in graph["rows"]] == names
    assert [at for row in graph["rows"] for at in row["layers"]] == list(range(len(result["layers"])))
    assert {"from": 1, "to": 3, "lane": 1} in graph["edges"]
    assert [edge["lane"] for edge in graph["edges"] if edge["to"] - edge["from"] == 1] == [0] * 7


def test_arcs_that_overlap_lie_apart():
    arcs = [(0, 2), (1, 3), (2, 4), (0, 4)]
    assert lane_of(arcs) == {(0, 2): 1, (1, 3): 2, (2, 4): 1, (0, 4): 3}


def test_names_cannot_break_out_and_every_write_is_the_same(whole):
    html = text_of(whole)
    assert html == text_of(whole)
    assert len(html.encode()) < FIVE_MEGABYTES
    assert html.count("<script") == 3
    assert EVIL not in html
    names = [view["row"]["name"] for view in data_in(html)["results"][0]["layers"]]
    assert EVIL in names
    assert "University of Washington Interactive Data Lab" in html


def test_the_scenario_in_the_page_runs_to_the_same_result(tmp_path):
    given = scenario(tmp_path)
    result = solvers.run_scenario(given).to_dict()
    page = Page(title="t", results=[("r", result, given.read_network())])
    (name, text), *others = data_in(text_of(page))["scenarios"]
    assert (name, others) == ("scenario.yaml", [])
    again = solvers.run_scenario(build_scenario(yaml.safe_load(text), {}, "")).to_dict()
    for data in (again, result):
        data["totals"]["seconds"] = 0
    assert again["totals"] == result["totals"]


def test_a_sweep_that_is_too_long_says_so(tmp_path):
    given = sweep(tmp_path)
    assert sweep_data(given)["of"] == len(given["rows"]) == len(sweep_data(given)["values"]["reason"])
    rows = [{"a": i, "b": "x" * 1000} for i in range(2 * MOST_CHARACTERS // 1000)]
    data = sweep_data({"axes": ["a"], "rows": rows})
    assert 0 < len(data["values"]["a"]) < data["of"] == len(rows)
    assert len(text_of(Page(title="t", sweep={"axes": ["a"], "rows": rows})).encode()) < FIVE_MEGABYTES


def test_a_missing_package_is_named_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    expected = "--report: needs vl-convert-python: pip install 'dnn-dataflow-optimizer[report]'\n"
    for command in (main, compare_main):
        assert command(["dcgan", "--report", str(tmp_path / "r.html")]) == 2
        assert capsys.readouterr().err == expected
    assert not (tmp_path / "r.html").exists()
    with pytest.raises(InputError):
        text_of(Page(title="t"))


def test_the_commands_write_pages(tiny, tmp_path, capsys):
    file = tmp_path / "r.html"
    assert main([str(tiny), "--report", str(file), "--quiet"]) == 0
    (only,) = data_in(file.read_text())["results"]
    assert only["network"] == "tiny"
    assert (
        main(
            [
                str(tiny),
                "--report",
                str(file),
                "--quiet",
                "--network_level",
                "fused",
                "--objective",
                "traffic",
            ]
        )
        == 0
    )
    assert data_in(file.read_text())["results"][0]["graph"]["rows"]
    assert (
        compare_main(
            [str(tiny), str(tiny), "--methods", "static,exhaustive", "--report", str(file), "--quiet"]
        )
        == 0
    )
    data = data_in(file.read_text())
    assert [r["name"] for r in data["results"]] == ["tiny, static", "tiny, exhaustive"] * 2
    assert data["command"] == "python -m solvers.compare tiny-1.yaml tiny-2.yaml --methods static,exhaustive"
    assert [name for name, _ in data["scenarios"]] == ["tiny-1.yaml", "tiny-2.yaml"]
    assert capsys.readouterr().out == ""


def test_a_layer_that_does_not_fit_is_on_the_page(tiny, tmp_path, capsys):
    file = tmp_path / "r.html"
    for level in ("layers", "resident"):
        options = ["--bufsize", "48", "--network_level", level, "--objective", "traffic", "--quiet"]
        assert main([str(tiny), *options, "--report", str(file)]) == 3
        (only,) = data_in(file.read_text())["results"]
        assert not only["complete"]
        assert any(view["row"]["latency"] is None for view in only["layers"])
    assert "does not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report", "/nowhere/r.html"], "/nowhere/r.html: cannot be written"),
        (["--report", "same", "--outfile", "same"], "--report: same is also the file of --outfile"),
    ],
)
def test_bad_files_get_one_line_and_exit_code_2(tiny, options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(tiny), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
