"""Random small networks with stacks in them."""

import yaml
from hypothesis import assume
from hypothesis import strategies as st

from dnns.errors import InputError
from dnns.reader import read_network


@st.composite
def layer_lists(draw, axes, most=4):
    """Layers of a YAML network: a chain with pools, crops, adds, concatenations, deconvolutions, branches."""
    count = draw(st.integers(2, most))
    layers, names = [], [("input", 3)]
    for i in range(count):
        source = names[-1] if draw(st.integers(0, 5)) else draw(st.sampled_from(names))
        out = draw(st.sampled_from((2, 2, 2, 3, 4)))
        op = draw(st.sampled_from(("conv", "conv", "conv", "deconv")))
        layer = {"name": f"l{i}", "op": op, "out_channels": out, "inputs": [source[0]]}
        if draw(st.booleans()):  # of the size of its input, so that much can be added to it
            kernel = draw(st.sampled_from((1, 3)))
            layer |= {"kernel": kernel, "padding": kernel // 2}
        else:
            layer |= {"kernel": draw(st.integers(1, 3)), "stride": draw(st.sampled_from((1, 1, 2, 3)))}
            layer |= {"padding": draw(st.integers(0, 1)), "dilation": draw(st.sampled_from((1, 1, 2)))}
        if draw(st.integers(0, 3)) == 0 and source[1] % 2 == 0 and out % 2 == 0:
            layer["groups"] = 2
        layers.append(layer)
        names.append((f"l{i}", out))
        for extra in range(draw(st.integers(0, 2))):
            layers.append(_node(draw, f"n{i}{extra}", names))
            names.append((layers[-1]["name"], None))
            names[-1] = (names[-1][0], _channels(layers[-1], dict(names)))
    return layers


def _node(draw, name, names):
    last = names[-1][0]
    kind = draw(st.sampled_from(("pool", "add", "concat", "crop", "upsample", "pool")))
    if kind == "pool":
        stride, kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        return {"name": name, "op": "pool", "kernel": kernel, "stride": stride, "inputs": [last]}
    if kind in ("add", "concat"):  # of a map with itself an addition is a view
        other = draw(st.sampled_from([n for n, _ in names[:-1]]))
        return {"name": name, "op": kind, "inputs": [other, last]}
    if kind == "upsample":
        return {"name": name, "op": kind, "scale": 2, "inputs": [last]}
    return {
        "name": name,
        "op": "crop",
        "like": draw(st.sampled_from([n for n, _ in names])),
        "inputs": [last],
    }


def _channels(layer, known):
    values = [known[name] or 1 for name in layer["inputs"]]
    return sum(values) if layer["op"] == "concat" else values[-1]


@st.composite
def networks(draw, folder, most=4, size=24):
    """A network that can be read: as many layers as fit together."""
    axes = draw(st.sampled_from((1, 2, 2, 2, 3)))
    sizes = [draw(st.integers(3, max(3, min((24, 12, 7)[axes - 1], size)))) for _ in range(axes)]
    layers, batch = draw(layer_lists(axes, most)), draw(st.sampled_from((1, 1, 2)))
    path = folder / "net.yaml"
    while len(layers) > 1:
        data = {"name": "net", "batch": batch, "input": [3, *sizes], "layers": layers}
        path.write_text(yaml.safe_dump(data))
        try:
            return read_network(path)
        except InputError:
            layers.pop()
    assume(False)
