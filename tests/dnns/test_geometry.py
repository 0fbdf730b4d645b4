"""Positions that operators without MACs need, against plain arithmetic."""

import pytest
import yaml

from dnns.geometry import ScaledAxis, broadcast, cropped
from dnns.reader import read_network


@pytest.mark.parametrize(("size", "out"), [(5, 10), (4, 4), (9, 3), (7, 12), (1, 6)])
def test_a_resized_axis_serves_interpolation_and_the_nearest_element(size, out):
    axis = ScaledAxis(out, size)
    for y in range(out):
        centre = (y + 0.5) * size / out - 0.5
        wanted = {y * size // out, *(max(0, min(size - 1, int(centre // 1) + d)) for d in (0, 1))}
        low, high = axis.interval(y, y + 1)
        assert low <= min(wanted) <= max(wanted) < high


def test_crops_are_to_the_middle():
    (axis,) = cropped([9], [4])
    assert [axis.interval(y, y + 1) for y in range(4)] == [(2, 3), (3, 4), (4, 5), (5, 6)]


def test_broadcasting():
    whole, same = broadcast((1, 4), (3, 4))
    assert (whole.interval(1, 2), same.interval(1, 2)) == ((0, 1), (1, 2))
    assert broadcast((2,), (4,)) is None


def test_a_last_window_may_hang_over_the_end(tmp_path):
    layers = [{"name": "p", "op": "pool", "kernel": 3, "stride": 2, "ceil_mode": True}]
    path = tmp_path / "net.yaml"
    path.write_text(yaml.safe_dump({"name": "net", "input": [1, 6, 7], "layers": layers}))
    ((rows, cols),) = read_network(path).nodes[0].windows
    assert [rows.interval(y, y + 1) for y in range(3)] == [(0, 3), (2, 5), (4, 6)]
    assert cols.interval(2, 3) == (4, 7)
