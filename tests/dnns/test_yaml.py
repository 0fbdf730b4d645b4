# ruff: noqa: E501
"""YAML networks: operators, blocks, overrides, and an error for everything that is not one."""

from __future__ import annotations

import pytest

from dnns.axes import Axis, TransposedAxis
from dnns.errors import InputError
from dnns.layer import Layer
from dnns.reader import read_network
from dnns.yaml_reader.file import load_yaml


@pytest.fixture
def network(tmp_path):
    def read(content, **options):
        path = tmp_path / "net.yaml"
        path.write_text(content)
        return read_network(path, **options)

    return read


def one(layer: str, shape: str = "[4, 10, 12]") -> str:
    return f"name: n\ninput: {shape}\nlayers:\n  - {{name: x, {layer}}}\n"


@pytest.mark.parametrize(
    ("layer", "shape", "out"),
    [
        ("op: conv, out_channels: 8, kernel: 3", "[4, 10, 12]", (8, 8, 10)),
        (
            "op: conv, out_channels: 8, kernel: [3, 5], stride: [1, 2], padding: [1, 2]",
            "[4, 10, 12]",
            (8, 10, 6),
        ),
        ("op: conv, out_channels: 8, kernel: 3, padding: [[0, 2], [1, 0]]", "[4, 10, 12]", (8, 10, 11)),
        ("op: conv, out_channels: 8, kernel: 3, padding: -1", "[4, 10, 12]", (8, 6, 8)),
        ("op: conv, out_channels: 8, kernel: 3, dilation: 3", "[4, 10, 12]", (8, 4, 6)),
        ("op: conv, out_channels: 8, kernel: 3", "[4, 9]", (8, 7)),
        ("op: conv, out_channels: 8, kernel: 3", "[4, 5, 6, 7]", (8, 3, 4, 5)),
        (
            "op: deconv, out_channels: 8, kernel: 3, stride: 2, padding: 1, output_padding: 1",
            "[4, 5, 6]",
            (8, 10, 12),
        ),
        ("op: deconv, out_channels: 8, kernel: 4, dilation: [2, 1]", "[4, 5, 6]", (8, 11, 9)),
        ("op: fc, out_channels: 8", "[4, 10, 12]", (8,)),
        ("op: fc, out_channels: 8, per_position: true", "[4, 10, 12]", (8, 10, 12)),
        ("op: pool, kernel: 3, stride: 2", "[4, 10, 12]", (4, 4, 5)),
        ("op: pool, kernel: 3, stride: 2, ceil_mode: true", "[4, 10, 12]", (4, 5, 6)),
        ("op: pool, kernel: 2, stride: 2, ceil_mode: true", "[4, 9, 8]", (4, 5, 4)),
        # PyTorch's rule: no window may start in the padding at the end
        ("op: pool, kernel: 1, stride: 3, padding: [0, 1], ceil_mode: true", "[4, 7, 7]", (4, 3, 3)),
        ("op: global_pool", "[4, 10, 12]", (4, 1, 1)),
        ("op: crop, size: [3, 12]", "[4, 10, 12]", (4, 3, 12)),
        ("op: upsample, scale: [2, 3]", "[4, 10, 12]", (4, 20, 36)),
        ("op: upsample, size: [11, 13]", "[4, 10, 12]", (4, 11, 13)),
        ("op: flatten", "[4, 10, 12]", (480,)),
        ("op: reshape, size: [8, 60]", "[4, 10, 12]", (8, 60)),
        ("op: widen, out_channels: 6", "[4, 10, 12]", (6, 10, 12)),
        ("op: norm", "[4, 10, 12]", (4, 10, 12)),
    ],
)
def test_shapes(network, layer, shape, out):
    assert network(one(layer, shape)).nodes[-1].shape == out


def test_a_convolution_becomes_a_layer_with_groups_and_batch(network):
    text = one("op: conv, out_channels: 8, kernel: 3, groups: 4, padding: [[0, 1], [1, 0]], stride: 2")
    (layer,) = network("batch: 5\n" + text).layers
    axes = (Axis(5, 3, 2, 1, 0, 1, 10), Axis(6, 3, 2, 1, 1, 0, 12))
    assert layer == Layer("x", 2, 1, axes, batch=5, groups=4)


def test_a_deconvolution_keeps_its_parameters(network):
    text = one(
        "op: deconv, out_channels: 8, kernel: 5, stride: 3, padding: [[1, 2], [0, 0]], dilation: 2, output_padding: 2"
    )
    (layer,) = network(text).layers
    assert layer.axes == (TransposedAxis(10, 5, 3, 2, 1, 2, 2), TransposedAxis(12, 5, 3, 2, 0, 0, 2))


def test_attention(network):
    text = """
name: attention
batch: 3
inputs: {q: [8, 5], k: [8, 7], v: [6, 7]}
layers:
  - {name: scores, op: matmul, inputs: [q, k], groups: 2, transpose: true}
  - {name: context, op: matmul, inputs: [scores, v], groups: 2}
"""
    scores, context = network(text).nodes
    assert (scores.shape, context.shape) == ((14, 5), (6, 5))
    assert scores.layer == Layer("scores", 7, 4, (Axis(5, in_size=5),), 1, 6, "matmul")
    assert context.layer == Layer("context", 3, 7, (Axis(5, in_size=5),), 1, 6, "matmul")


BLOCKS = """
name: blocks
input: [4, 8, 8]
defaults: {bias: true}
blocks:
  pair:
    parameters: {out: null, kernel: 3}
    layers:
      - {name: a, op: conv, out_channels: $out, kernel: $kernel, padding: 1}
      - {name: b, op: conv, out_channels: $out, kernel: $kernel, padding: 1, bias: false, norm: true}
  residual:
    inputs: [x, skip]
    parameters: {out: null}
    layers:
      - {name: body, block: pair, with: {out: $out}}
      - {name: sum, op: add, inputs: [body, x]}
      - {name: sum2, op: add, inputs: [sum, skip]}
layers:
  - {name: first, block: pair, with: {out: 6}}
  - {name: r, block: residual, repeat: 2, inputs: [first, first.a], with: {out: 6}}
  - {name: last, op: conv, out_channels: 1, kernel: 1}
  - {name: inner, op: concat, inputs: [last, r.1.body.a, first]}
"""


def test_blocks_repeat_nest_and_take_parameters(network):
    built = network(BLOCKS)
    inputs = {node.name: node.inputs for node in built.nodes}
    assert list(inputs) == [
        "first.a", "first.b",
        "r.1.body.a", "r.1.body.b", "r.1.sum", "r.1.sum2",
        "r.2.body.a", "r.2.body.b", "r.2.sum", "r.2.sum2",
        "last", "inner",
    ]  # fmt: skip
    assert inputs["first.a"] == ("input",)
    assert inputs["r.1.sum"] == ("r.1.body.b", "first.b")
    assert inputs["r.1.sum2"] == ("r.1.sum", "first.a")
    assert inputs["r.2.body.a"] == ("r.1.sum2",)
    assert inputs["r.2.sum2"] == ("r.2.sum", "first.a")
    assert inputs["inner"] == ("last", "r.1.body.a", "first.b")
    # weights, a bias per channel of a, scale and shift per channel of b
    assert {n.name: n.parameters for n in built.nodes if n.parameters} == {
        "first.a": 4 * 6 * 9 + 6, "first.b": 6 * 6 * 9 + 12,
        "r.1.body.a": 6 * 6 * 9 + 6, "r.1.body.b": 6 * 6 * 9 + 12,
        "r.2.body.a": 6 * 6 * 9 + 6, "r.2.body.b": 6 * 6 * 9 + 12,
        "last": 6 + 1,
    }  # fmt: skip


def test_shared_weights_count_once(network):
    text = """
name: siamese
inputs: {left: [3, 8, 8], right: [3, 8, 8]}
blocks:
  unit: {layers: [{name: c, op: conv, out_channels: 4, kernel: 3, padding: 1}]}
  tower: {layers: [{name: c, op: conv, out_channels: 4, kernel: 1}, {name: u, block: unit, repeat: 2}]}
layers:
  - {name: a, block: tower, inputs: [left]}
  - {name: b, block: tower, inputs: [right], shares: a}
"""
    built = network(text)
    assert built.parameters == 3 * 4 + 2 * 4 * 4 * 9
    assert len(built.layers) == 6
    with pytest.raises(InputError, match=r"b\.c cannot share the weights of a\.c"):
        network(text.replace("right: [3, 8, 8]", "right: [5, 8, 8]"))
    with pytest.raises(InputError, match="unknown block use 'c', allowed: a"):
        network(text.replace("shares: a", "shares: c"))


def test_input_overrides(network):
    text = one("op: conv, out_channels: 8, kernel: 3")
    assert network(text, input=(2, 5, 6)).nodes[-1].shape == (8, 3, 4)
    with pytest.raises(InputError, match="a size is 0, allowed: at least 1"):
        network(text, input=(2, 0, 5))
    with pytest.raises(InputError, match="input_3d: is for text networks"):
        network(text, input_3d=(1, 2, 3, 4))
    two = "name: n\ninputs: {a: [4, 8], b: [%d, 8]}\nlayers: [{name: s, op: add, inputs: [a, b]}]"
    assert network(two % 4, input=(6, 9)).inputs == (("a", (6, 9)), ("b", (6, 9)))
    with pytest.raises(InputError, match="several shapes"):
        network(two % 5, input=(6, 9))


def test_an_input_of_another_rank_is_refused_unless_the_network_is_for_both(network):
    text = one("op: conv, out_channels: 8, kernel: 3")
    for shape in ((2, 5), (2, 5, 5, 5), (2,), (2, 5, 5, 5, 5)):
        with pytest.raises(
            InputError, match=r"got \d sizes .*, allowed: 3, channels first, like the network's"
        ):
            network(text, input=shape)
    with pytest.raises(InputError, match=r"a network for both says spatial_axes: \[1, 2\]"):
        network(text, input=(2, 5))
    both = text + "spatial_axes: [1, 2]\n"
    assert network(both, input=(2, 5)).nodes[-1].shape == (8, 3)
    assert network(both, input=(2, 5, 6)).nodes[-1].shape == (8, 3, 4)
    with pytest.raises(InputError, match=r"got 4 sizes \[2, 5, 5, 5\], allowed: 2 or 3, channels first"):
        network(both, input=(2, 5, 5, 5))
    with pytest.raises(InputError, match="spatial_axes"):
        network(text + "spatial_axes: [4]\n")


LAYER = "line 4, layers[0]"


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ("", "line 1", "got None, allowed: a mapping"),
        ("name: n", "line 1, layers", "missing, it is required"),
        ("name: n\nlayers: [{name: x, op: norm}]", "line 1", "one of input and inputs"),
        ("name: n\ninput: [4, 8]\nlayers: []", "line 3, layers", "got [], allowed: a list of at least 1 item"),
        ("name: n\ninput: [4, 0]\nlayers: [{}]", "line 2, input[1]", "got 0, allowed: at least 1"),
        ("name: n\ninput: [4, true]\nlayers: [{}]", "line 2, input[1]", "got True, allowed: a whole number"),
        ("name: n\ninput: [4, 8]\nlayer: [{}]", "line 3, layer", "unknown field 'layer', did you mean layers?"),
        ("name: n\nname: m\n", "line 2", "duplicate key 'name', first on line 1"),
        (one("op: conv, out_channels: 8"), f"{LAYER}.kernel", "missing"),
        (one("op: conf, out_channels: 8"), f"{LAYER}.op", "got 'conf', allowed: 'conv', 'deconv'"),
        (one("out_channels: 8"), f"{LAYER}.op", "missing"),
        (one("op: conv, out_channels: 8, kernle: 3"), f"{LAYER}.kernle", "unknown field 'kernle', did you mean kernel?"),
        (one("op: conv, out_channels: 8, kernel: 0"), f"{LAYER}.kernel", "got 0, allowed: at least 1"),
        (one("op: conv, out_channels: -8, kernel: 3"), f"{LAYER}.out_channels", "got -8"),
        (one("op: conv, out_channels: 8, kernel: 3.0"), f"{LAYER}.kernel", "got 3.0, allowed: a whole number or a list"),
        (one("op: conv, out_channels: '8', kernel: 3"), f"{LAYER}.out_channels", "got '8', allowed: a whole number"),
        (one("op: conv, out_channels: 8, kernel: [3, 3, 3]"), LAYER, "kernel has 3 entries, allowed: 1 or 2"),
        (one("op: conv, out_channels: 8, kernel: 13"), LAYER, "a window of 13 does not fit the padded input of 10"),
        (one("op: conv, out_channels: 8, kernel: 3, padding: -5"), LAYER, "does not fit the padded input of 0"),
        (one("op: conv, out_channels: 8, kernel: 3, groups: 3"), LAYER, "out_channels 8 cannot be divided into 3"),
        (one("op: conv, out_channels: 9, kernel: 3, groups: 3"), LAYER, "input channels 4 cannot be divided"),
        (one("op: conv, out_channels: 8, kernel: 3", "[4]"), LAYER, "its input [4] has 0 spatial axes, allowed: 1 to 3"),
        (one("op: deconv, out_channels: 8, kernel: 1, padding: 9"), LAYER, "no output is left"),
        (one("op: deconv, out_channels: 8, kernel: 3, stride: 65"), LAYER, "strides make 4225 sub-convolutions"),
        (one("op: deconv, out_channels: 8, kernel: 3, stride: 64, padding: 0", "[8, 2147483647, 1]"), LAYER, "is 137438953347"),
        (one("op: conv, out_channels: 8, kernel: 3, inputs: [y]"), f"{LAYER}.inputs[0]", "unknown layer 'y'"),
        (one("op: add"), LAYER, "got 1 inputs, allowed: 2 or more"),
        (one("op: add, inputs: [input, x]"), f"{LAYER}.inputs[1]", "unknown layer 'x'"),  # itself: a cycle
        (one("op: concat, inputs: []"), f"{LAYER}.inputs", "got [], allowed: a list of at least 1 item"),
        (one("op: crop, size: [11, 5]"), LAYER, "cannot crop [10, 12] to [11, 5]"),
        (one("op: crop, size: [5]"), LAYER, "got 1 sizes, its input [4, 10, 12] has 2 axes"),
        (one("op: crop"), LAYER, "needs one of size and like"),
        (one("op: crop, like: y"), f"{LAYER}.like", "unknown layer 'y'"),
        (one("op: upsample, scale: 2, size: [1, 1]"), LAYER, "one of scale, size and like"),
        (one("op: reshape, size: [7]"), LAYER, "cannot reshape [4, 10, 12] to [7]"),
        (one("op: widen, out_channels: 3"), LAYER, "out_channels is 3, allowed: at least the input's 4"),
        (one("op: matmul, inputs: [input, input]"), LAYER, "has 3 dimensions, allowed: 2"),
        (one("op: matmul, inputs: [input, input]", "[4, 8]"), LAYER, "inner sizes differ, 4 and 8"),
        (one("op: upsample, scale: 65536", "[4, 65536]"), LAYER, "a size of its output is 4294967296, allowed: at most"),
        (one("op: norm, name: y"), "line 4", "duplicate key 'name'"),
        (one("op: conv, out_channels: $out, kernel: 3"), f"{LAYER}.out_channels", "unknown parameter 'out', allowed: none"),
        (one("block: pair"), f"{LAYER}.block", "unknown block 'pair', allowed: none"),
        ("name: n\ninput: [4, 8]\nlayers: [3]", "line 3, layers[0]", "got 3, allowed: a mapping"),
        ("name: n\ninput: [4, 8]\nlayers: [{name: input, op: norm}]", "line 3, layers[0].name", "name 'input' is taken"),
        ("name: n\ninput: [4, 8]\nlayers: [{name: a.b, op: norm}]", "line 3, layers[0].name", "got 'a.b'"),
        ("name: n\ninputs: {a: [1], b: [1]}\nlayers: [{name: c, op: norm}]", "line 3, layers[0]", "inputs are missing, the first layer must choose from: a, b"),
        (BLOCKS.replace("with: {out: $out}", ""), "line 15, blocks.residual.layers[0]", "parameter out of block pair is missing (in r.1)"),
        (BLOCKS.replace("with: {out: $out}", "with: {ouch: 3}"), "line 15, blocks.residual.layers[0].with.ouch", "unknown parameter 'ouch', allowed: out, kernel"),
        (BLOCKS.replace("block: pair, with: {out: $out}", "block: residual, inputs: [x, x], with: {out: 1}"), "line 15, blocks.residual.layers[0].block", "in itself"),
        (BLOCKS.replace("first.a]", "first.c]"), "line 16, blocks.residual.layers[2]", None),
        (BLOCKS.replace("inputs: [first, first.a]", "inputs: [first]"), "line 20, layers[1]", "got 1 inputs, allowed: 2 (x, skip)"),
        (BLOCKS.replace("repeat: 2", "repeat: 0"), "line 20, layers[1].repeat", "got 0"),
        (BLOCKS.replace("repeat: 2", "repeat: 20000"), None, "more than 20000 layers, blocks written out"),
        (BLOCKS.replace("inputs: [body, x]", "inputs: [body, first]"), "line 16, blocks.residual.layers[1].inputs[1]", "unknown layer 'first'"),
    ],
)  # fmt: skip
def test_errors_name_line_and_field(network, content, where, problem):
    with pytest.raises(InputError) as caught:
        network(content)
    assert len(str(caught.value).splitlines()) == 1
    if problem is not None:
        assert problem in caught.value.problem
    if problem is not None and where is not None:
        assert caught.value.where == where


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: [", "line 2: is not YAML"),
        ("a: 1\n\tb: 2", "line 2: is not YAML"),
        ("a: *x", "line 1: alias *x has no anchor"),
        ("a: &x [*x]", "line 1: alias *x stands inside its own anchor"),
        ("a: !!python/object/apply:os.system [ls]", "tags are not allowed"),
        ("a: !!set {b}", "tags are not allowed"),
        ("[1]: 2", "line 1: a key must be a plain word"),
        ("a: 1\n---\nb: 2", "line 2: a second document starts"),
        ("a: " + "9" * 41, "a number of 41 digits"),
        ("[" * 70, "nested deeper than 64"),
        ("[" * 100_000, "nested deeper than 64"),
        ("{a: " * 100_000, "nested deeper than 64"),
        ("a: \x07", "is not YAML"),
    ],
)
def test_hostile_yaml(tmp_path, content, problem):
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(InputError) as caught:
        load_yaml(tmp_path / "x.yaml")
    assert problem in str(caught.value)


def test_alias_bombs_are_refused_before_they_expand(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 60)]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match="holds more than 200000 values, aliases expanded"):
        load_yaml(tmp_path / "x.yaml")


def test_scalars_follow_yaml_1_2(tmp_path):
    text = "[1, -2, 0x10, 0o17, 1e-3, 1.5, .5, .inf, true, False, ~, , no, 1_000, '3', 1:30, 2001-01-01, 010]"
    (tmp_path / "x.yaml").write_text(text.replace(", ,", ", null,"))
    data, _ = load_yaml(tmp_path / "x.yaml")
    assert data == [
        1, -2, 16, 15, 0.001, 1.5, 0.5, float("inf"), True, False, None, None,
        "no", "1_000", "3", "1:30", "2001-01-01", 10,
    ]  # fmt: skip


def test_lines_of_fields(tmp_path):
    (tmp_path / "x.yaml").write_text("a:\n  b:\n    - 1\n    - c: 2\n      d: 3\ne: &e {f: 1}\ng: *e\n")
    _, locate = load_yaml(tmp_path / "x.yaml")
    paths = [
        (),
        ("a",),
        ("a", "b"),
        ("a", "b", 0),
        ("a", "b", 1, "d"),
        ("a", "b", 9),
        ("g",),
        ("g", "f"),
        ("z",),
    ]
    assert [locate(path) for path in paths] == [1, 1, 2, 3, 5, 2, 7, 6, 1]
