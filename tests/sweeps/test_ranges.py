"""Ranges: exact in decimals, both ends if they are hit."""

import pytest

from solvers.exploring.sweeping.axes.ranges import RangeModel, values


def span(field="hardware.bufsize", **given):
    return values(
        field, RangeModel.model_validate({name.rstrip("_"): value for name, value in given.items()})
    )


def test_ranges_are_exact():
    assert span(from_="64KiB", to="1MiB", factor=2) == [65536 << k for k in range(5)]
    assert span(from_=10, to=25, step=5) == [10, 15, 20, 25]
    assert span(from_=10, to=24, step=5) == [10, 15, 20]
    assert span("hardware.memory_bandwidth", from_=0.1, to=0.7, step=0.1) == [k / 10 for k in range(1, 8)]
    assert span("hardware.memory_bandwidth", from_="800MB/s", to=1.6, step="0.4GB/s") == [0.8, 1.2, 1.6]
    assert span(from_=3, to=3, factor=1.5) == [3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"from_": 1, "to": 2}, "either a step or a factor"),
        ({"from_": 1, "to": 2, "step": 1, "factor": 2}, "either a step or a factor"),
        ({"from_": 3, "to": 2, "step": 1}, "from 3 is above to 2"),
        ({"from_": 1, "to": 2, "step": 0}, "step: got 0, allowed: above 0"),
        ({"from_": 1, "to": 2, "factor": 1}, "factor: got 1 from 1, allowed: above 1"),
        ({"from_": 0, "to": 2, "factor": 2}, "from above 0"),
        ({"from_": "x", "to": 2, "step": 1}, "from: got 'x', allowed: bytes, or a size"),
        ({"from_": True, "to": 2, "step": 1}, "from: got True, allowed: a number"),
        ({"from_": 1, "to": 1_000_000, "step": 1}, "more than 10,000 values"),
    ],
)
def test_what_is_no_range_is_told(given, message):
    with pytest.raises(ValueError, match=message):
        span(**given)
