"""Pictures of comparisons, curves, fronts, sizes and sweeps: what is drawn is what is given."""

import pytest
from matplotlib.figure import Figure

from dnns.errors import InputError
from solvers.views.plots.compared import comparison_pictures
from solvers.views.plots.curves import curve_pictures
from solvers.views.plots.fronts import front_pictures
from solvers.views.plots.heat import Shown, heat_map
from solvers.views.plots.picture import encoded, folders, show
from solvers.views.plots.sizes import sizing_picture
from solvers.views.plots.text import named, unit
from tests.plots.texts import texts

KIB = 1024


def drawn(picture):
    return show(picture, Figure(figsize=picture.size, layout="constrained"))


def line(ax, label):
    """Points of the line with a label."""
    (found,) = [one for one in ax.get_lines() if one.get_label() == label]
    return [(float(x), float(y)) for x, y in zip(*found.get_data(), strict=True)]


def entry(values, compulsory, bound, **more):
    sizes = [32 * KIB << n for n in range(len(values))]
    return {
        "points": [{"buffer_bytes": s, "value": v} for s, v in zip(sizes, values, strict=True)],
        "bound": [{"buffer_bytes": s, "value": v} for s, v in zip(sizes, bound, strict=True)],
        "compulsory": compulsory,
        **more,
    }


def curve(**more):
    layers = [
        entry([4000, 2000, 1000], 1000, [2000, 1000, 1000], name="<a>"),
        entry([], 500, [], name="never"),
    ]
    total = entry([9_000_000, 5_000_000, 4_000_000], 3_000_000, [4_000_000, 3_000_000, 3_000_000])
    return {
        "network": "net",
        "target": "traffic",
        "unit": "bytes",
        "layers": layers,
        "total": total,
    } | more


def test_a_curve_is_a_staircase_over_its_bounds():
    whole, layers = curve_pictures(curve())
    (ax,) = drawn(whole)
    assert line(ax, "least of any mapping") == [(32, 9), (64, 5), (128, 4), (128, 4)]
    assert line(ax, "proven for any schedule") == [(32, 4), (64, 3), (128, 3)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("buffer [KiB]", "DRAM traffic [MB]")
    styles = {one.get_label(): one.get_drawstyle() for one in ax.get_lines()}
    assert styles["least of any mapping"] == "steps-post"
    assert styles["proven for any schedule"] == "steps-pre"  # never above what is proven
    first, second = drawn(layers)
    assert list(first.get_lines()[0].get_ydata()) == [4, 2, 1, 1]
    assert first.get_ylim() == second.get_ylim()
    shown = texts(encoded(layers)["curve_layers.svg"])
    assert {"<a>", "never", "does not fit", "DRAM traffic / compulsory traffic"} <= set(shown)


def test_a_curve_of_latency_is_in_cycles():
    whole, _ = curve_pictures(curve(target="latency", unit="cycles"))
    (ax,) = drawn(whole)
    assert ax.get_ylabel() == "latency [Mcycles]"
    assert line(ax, "roofline")[0][1] == 3


def test_fronts_have_all_their_points():
    points = [{"latency_cycles": c, "traffic_bytes": b} for c, b in ((3000, 100), (1000, 400), (2000, 200))]
    layers = [
        {"name": "a", "points": points},
        {"name": "b", "points": points[:1]},
        {"name": "c", "points": []},
    ]
    whole, small = front_pictures({"network": "net", "layers": layers, "total": {"points": points}})
    (ax,) = drawn(whole)
    assert line(ax, "front, 3 points") == [(1, 400), (2, 200), (3, 100)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latency [kcycles]", "DRAM traffic [bytes]")
    assert line(ax, "least latency") == [(1, 400)]
    first, second, third = drawn(small)
    assert line(first, "front, 3 points") == [(0, 4), (100, 2), (200, 1)]
    assert line(second, "front, 1 points") == [(0, 1)]
    assert third.texts[0].get_text() == "does not fit"
    assert {"a", "b", "c", "latency above the least [%]"} <= set(texts(encoded(small)["pareto_layers.svg"]))


def test_sizes_are_drawn_with_what_a_kib_is_worth():
    values = [(64, 5000, True), (128, 5000, True), (192, 3080, False), (256, 2440, True)]
    rows = [
        {"buffer_bytes": k * KIB, "traffic_bytes": v, "latency_cycles": 0, "optimal": ok}
        for k, v, ok in values
    ]
    upper, lower = drawn(
        sizing_picture({"network": "net", "target": "traffic", "least": 1000, "sizes": rows})
    )
    assert line(upper, "least found") == [(64, 5), (128, 5), (192, 3.08), (256, 2.44)]
    assert line(upper, "not proven") == [(192, 3.08)]
    worth = [max(float(y) for _, y in area.get_paths()[0].vertices) for area in lower.collections]
    assert worth == pytest.approx([1920 / 128, 640 / 64])
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("DRAM traffic [kB]", "a KiB saves [bytes]")


def test_one_size_is_a_picture_as_well():
    row = {"buffer_bytes": 5, "traffic_bytes": 7, "latency_cycles": 9, "optimal": True}
    picture = sizing_picture({"network": "n", "target": "latency", "least": 3, "sizes": [row]})
    assert "latency [cycles]" in texts(encoded(picture)["sizing.svg"])


def sweep():
    return [
        {"hardware.bufsize": s * KIB, "method": m, "traffic_bytes": s * n * 1000.0}
        for n, m in ((1, "exact"), (2, "<b>$x$"))
        for s in (256, 64, 128)
    ]


def test_a_heat_map_has_a_cell_for_each_pair():
    rows = sweep()
    rows[1]["traffic_bytes"] = None
    picture = heat_map(rows, "hardware.bufsize", "method", "traffic_bytes", title="a $ title")
    ax = drawn(picture)[0]
    table = ax.images[0].get_array()
    assert table.mask.tolist() == [[True, False, False], [False, False, False]]
    assert table.filled(0).tolist() == [[0, 128, 256], [128, 256, 512]]
    shown = texts(encoded(picture)["heat.svg"])
    assert {"64", "128", "256", "exact", "<b>$x$", "buffer [KiB]", "DRAM traffic [kB]", "a $ title"} <= set(
        shown
    )
    quantity = Shown("method", "by which method", "name")
    assert drawn(heat_map(rows, "hardware.bufsize", quantity, "traffic_bytes"))[0].get_ylabel() == (
        "by which method [name]"
    )


@pytest.mark.parametrize(
    ("rows", "x", "message"),
    [
        ([], "hardware.bufsize", "heat: hardware.bufsize: there is no such column"),
        (sweep(), "bufsize", "heat: bufsize: there is no such column"),
        ([*sweep(), *sweep()], "hardware.bufsize", "two rows of one cell"),
    ],
)
def test_a_heat_map_refuses_what_is_not_one(rows, x, message):
    with pytest.raises(InputError, match=message):
        heat_map(rows, x, "method", "traffic_bytes")


def comparison():
    rows = [
        {
            "layer": layer,
            "part": "",
            "count": count,
            "method": method,
            "latency_cycles": cycles,
            "traffic_bytes": None if cycles is None else 2 * cycles,
            "gap": gap,
            "seconds": seconds,
            "bound_scope": "partition" if method == "static" else "map_space",
        }
        for layer, count, cycles, gap, seconds in (("l", 1, 1000, 0.0, 0.1), ("m", 3, None, None, 0.5))
        for method in ("static", "exact")
    ]
    totals = [{**row, "layer": "total", "gap": 0.02} for row in rows[:2]]
    return {"network": "net", "methods": ["static", "exact"], "rows": rows, "totals": totals}


def test_a_comparison_has_a_point_for_each_answer():
    methods, gaps = comparison_pictures(comparison())
    latency, traffic = drawn(methods)
    ((x, y),) = line(latency, "static")
    assert (x, round(y)) == (1, 0)
    assert line(traffic, "exact")[0][0] == 2
    assert [text.get_text() for text in latency.get_yticklabels()] == ["l", "m x3"]
    shown = texts(encoded(gaps)["gaps.svg"])
    assert {"proven gap [%]", "time [s]", "static*", "exact", "2 %", "0.1 s"} <= set(shown)
    shown = texts(encoded(methods)["methods.svg"])
    assert {"latency of one occurrence [kcycles]", "DRAM traffic of one occurrence [kB]"} <= set(shown)


def test_units_suit_the_greatest_value():
    names = [unit("bytes", values).name for values in ([], [None, 0], [999], [1000], [5e9, 1], [1e20])]
    assert names == ["bytes", "bytes", "bytes", "kB", "GB", "TB"]
    assert unit("cycles", [2_500_000]).of(2_500_000) == 2.5


def test_long_names_keep_both_ends():
    assert named("a" * 40) == "a" * 40
    assert named("start" + "x" * 100 + "end", 16) == "startxx..xxxxend"
    assert named("a\tb$") == r"a?b\$"


def test_several_things_have_a_folder_each():
    assert [str(home) for home in folders("d", ["a"])] == ["d"]
    assert [str(home) for home in folders("d", ["a", "b", "a", "a"])] == ["d/a", "d/b", "d/a-2", "d/a-3"]
