"""Which tiles of streamed weights fit together best, against all choices."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from formulation.network.stacks.fitting import WeightTiles, fitting

FIGURES = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))


@given(
    st.lists(st.lists(FIGURES, min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(0, 20),
    st.booleans(),
    st.none() | st.integers(0, 20),
)
def test_nothing_that_fits_is_better(layers, room, timed, most):
    options = []
    for tiles in layers:
        rooms, bits, time = np.array(tiles, dtype=np.int64).T
        numbers = np.arange(len(tiles))
        options.append(WeightTiles(rooms, bits, time, numbers, numbers))
    every = []
    for picked in product(*(range(len(tiles)) for tiles in layers)):
        taken, bits, time = np.sum([tiles[i] for tiles, i in zip(layers, picked, strict=True)], axis=0)
        if taken <= room and (most is None or bits <= most):
            every.append((bits, time))
    found = []
    for numbers in fitting(options, room, timed=timed, most_bits=most):
        taken, *price = np.sum([tiles[i] for tiles, i in zip(layers, numbers, strict=True)], axis=0)
        assert taken <= room
        found.append(tuple(price))
    if not timed:
        assert found == [min(every)] if every else not found
        return
    front = {a for a in every if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in every)}
    assert front <= set(found) <= set(every)
