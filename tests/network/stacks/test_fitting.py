"""Which tiles of streamed weights fit together best, against all choices."""

from itertools import product
from operator import le

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from formulation.network.stacks.search.fitting import Limits, WeightTiles, fitting

FIGURES = st.tuples(*[st.integers(0, 6)] * 4)


@given(
    st.lists(st.lists(FIGURES, min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(0, 20),
    st.booleans(),
    st.none() | st.integers(0, 20),
    st.booleans(),
    st.tuples(*[st.none() | st.integers(0, 20)] * 2),
)
def test_nothing_that_fits_is_better(layers, room, timed, most, set_up, later):
    options, later = [], later if timed else (None, None)
    for tiles in layers:
        rooms, bits, time, setup = np.array(tiles, dtype=np.int64).T
        numbers = np.arange(len(tiles))
        setup = setup if set_up else 0 * setup
        options.append(WeightTiles(rooms, bits, time, numbers, numbers, setup))
    every, figures = [], 3 if timed and set_up else 2
    for picked in product(*(range(len(tiles)) for tiles in layers)):
        taken, *price = np.sum([tiles[i] for tiles, i in zip(layers, picked, strict=True)], axis=0)
        limits = zip(price, (most, *later), strict=True)
        if taken <= room and all(limit is None or value <= limit for value, limit in limits):
            every.append(tuple(price[:figures]))
    found = []
    for numbers in fitting(options, room, timed=timed, most=Limits(most, *later)):
        taken, *price = np.sum([tiles[i] for tiles, i in zip(layers, numbers, strict=True)], axis=0)
        assert taken <= room
        found.append(tuple(price[:figures]))
    if not timed:
        assert found == [min(every)] if every else not found
        return
    front = {a for a in every if not any(b != a and all(map(le, b, a)) for b in every)}
    assert front <= set(found) <= set(every)
