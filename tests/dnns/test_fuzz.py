# ruff: noqa: E501
"""Mutated network files: a network or one InputError, never a traceback, a hang or a flood of memory.

``--hypothesis-profile thorough`` runs thousands.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnns.errors import InputError
from dnns.reader import read_network
from dnns.terminal.listing import rows
from dnns.yaml_reader.file import load_yaml

DNNS = Path(__file__).parents[2] / "dnns" / "networks"
SECONDS = 20

TEXT = [(DNNS / f"{name}.txt").read_bytes() for name in ("test", "PSMNet", "flowNetS")]
YAML = [
    (DNNS / f"{name}.yaml").read_bytes()
    for name in ("unet", "gcnet", "resnet50", "enet", "bert_base", "dcgan")
]
TOKENS = [
    b"0", b"-1", b"1", b"2", b"3", b"99999999999999999999", b"2147483647", b"65536", b"True", b"False", b"null",
    b"1.5", b".nan", b"", b",", b":", b"[", b"]", b"{", b"}", b"$out", b"\n", b"\t", b"#", b"- ", b"&a ", b"*a",
    b"!!int ", b"'", b'"', b"\xff", b"\x00", b"input", b"repeat: 1000", b"name: x", b"op: deconv", b"kernel: 9",
]  # fmt: skip


@st.composite
def mutated(draw, sources: list[bytes], tokens: list[bytes]) -> bytes:
    """A source with a few of its bytes, words or lines replaced, removed, repeated or moved."""
    content = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.sampled_from([0, 1, 1, 2, 4, 16, 64, 10**9])))
        put = draw(
            st.one_of(st.sampled_from(tokens), st.binary(max_size=8), st.just(content[start:stop] * 2))
        )
        content = content[:start] + put + content[stop:]
    return content


def check(folder: Path, name: str, content: bytes, **options) -> None:
    path = folder / name
    path.write_bytes(content)
    started, problem = time.monotonic(), None
    try:
        network = read_network(path, **options)
    except InputError as error:
        problem = str(error)
    if problem is None:
        assert network.macs == sum(row.macs * row.count for row in rows(network))
    else:
        assert problem.startswith(str(path))
        assert len(problem.splitlines()) == 1
    assert time.monotonic() - started < SECONDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@given(mutated(TEXT, TOKENS))
def test_text(folder, content):
    check(folder, "net.txt", content, input=(6, 64, 64), input_3d=(8, 16, 16, 16))


@given(st.text("0123456789,-TrueFals \n#", max_size=200))
def test_text_of_its_own_alphabet(folder, content):
    check(folder, "net.txt", content.encode(), input=(6, 64, 64), input_3d=(8, 16, 16, 16))


@given(mutated(YAML, TOKENS))
@example(
    b"name: n\ninput: [1]\nblocks: {b: {layers: [{name: c, block: b, repeat: 9}]}}\nlayers: [{name: a, block: b}]"
)
def test_yaml(folder, content):
    check(folder, "net.yaml", content)


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["input", "$p"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = [
    "inputs",
    "out_channels",
    "kernel",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "size",
    "like",
    "scale",
]
FIELDS += ["repeat", "block", "with"]
layers = st.fixed_dictionaries(
    {
        "name": st.sampled_from("abcdef"),
        "op": st.sampled_from(["conv", "deconv", "fc", "matmul", "pool", "crop", "upsample"]),
    },
    optional={
        field: st.one_of(values, st.integers(-2, 9), st.lists(st.integers(-2, 9), max_size=3))
        for field in FIELDS
    },
)


@given(st.fixed_dictionaries(
    {"name": st.just("n"), "input": st.lists(st.integers(1, 40), min_size=1, max_size=4), "layers": st.lists(st.one_of(layers, values), max_size=5)},
    optional={"blocks": values, "batch": values, "defaults": values, "inputs": values},
))  # fmt: skip
def test_yaml_of_the_right_form_with_wrong_values(folder, data):
    import yaml

    check(folder, "net.yaml", yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "replace"))


@given(st.binary(max_size=200))
def test_any_bytes_as_yaml(folder, content):
    (folder / "any.yaml").write_bytes(content)
    try:
        data, locate = load_yaml(folder / "any.yaml")
    except InputError:
        return
    assert locate(()) >= 1
    assert isinstance(data, dict | list | str | int | float | None)


def onnx_sources() -> list[bytes]:
    onnx = pytest.importorskip("onnx")
    light = Path(onnx.__file__).parent / "backend/test/data/light"
    return [
        (light / f"light_{name}.onnx").read_bytes() for name in ("bvlc_alexnet", "zfnet512", "squeezenet")
    ]


@given(st.data())
def test_onnx(folder, data):
    wire = [bytes([n]) for n in (0, 1, 8, 10, 16, 18, 26, 34, 42, 58, 127, 128, 255)]
    wire += [b"Conv", b"Loop", b"Resize", b"Tile", b"ConstantOfShape", b"\xff" * 9 + b"\x01", b"\x80" * 12]
    check(folder, "net.onnx", data.draw(mutated(onnx_sources(), wire)))


@given(st.data())
def test_onnx_nodes_with_wrong_operators_and_attributes(folder, data):
    onnx = pytest.importorskip("onnx")
    proto = onnx.ModelProto.FromString(onnx_sources()[0])
    proto.opset_import[0].version = data.draw(st.sampled_from([1, 6, 7, 9, 11, 13, 17, 21, 23]))
    operators = [schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""]
    for _ in range(data.draw(st.integers(1, 4))):
        node = data.draw(st.sampled_from(list(proto.graph.node)))
        what = data.draw(st.sampled_from(["operator", "attribute", "input", "output"]))
        if what == "operator":
            node.op_type = data.draw(st.sampled_from(operators))
        elif what == "attribute":
            names = [
                "axis",
                "axes",
                "pads",
                "strides",
                "group",
                "perm",
                "kernel_shape",
                "auto_pad",
                "dilations",
                "to",
            ]
            name = data.draw(
                st.sampled_from([*names, "value", "keepdims", "shape", "k", "blocksize", "num_outputs"])
            )
            number = st.one_of(st.integers(-4, 9), st.integers(-(2**63), 2**63 - 1))
            value = data.draw(
                st.one_of(number, st.lists(number, min_size=1, max_size=4), st.text(max_size=3))
            )
            node.attribute.append(onnx.helper.make_attribute(name, value))
        elif what == "input":
            tensor = data.draw(
                st.sampled_from([t.name for t in proto.graph.initializer] + ["data_0", "", "none"])
            )
            node.input.insert(data.draw(st.integers(0, len(node.input))), tensor)
        else:
            node.output.append(data.draw(st.sampled_from(["", "extra", node.output[0]])))
    for tensor in proto.graph.initializer:
        if data.draw(st.integers(0, 9)) == 0:
            tensor.dims.append(data.draw(st.sampled_from([-1, 0, 1, 2**40, 2**63 - 1])))
    check(folder, "net.onnx", proto.SerializeToString())
