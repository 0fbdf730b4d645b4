"""The original tool's text format: every rule and every error."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dnns.axes import Axis, TransposedAxis
from dnns.errors import InputError
from dnns.layer import Deconvolution, Layer
from dnns.reader import read_network


@pytest.fixture
def text(tmp_path):
    def write(content, **options):
        path = tmp_path / "net.txt"
        path.write_text(content)
        return read_network(path, **options)

    return write


def test_convolutions_are_padded_for_ceil_in_over_stride_with_the_odd_element_last(text):
    network = text("8, 3, 4, 2, False\n", input=(3, 7, 8))
    # height: 4 outputs span 3*2+3 = 9 of 7; width: 4 outputs span 3*2+4 = 10 of 8
    assert network.layers == (Layer("layer1", 8, 3, (Axis(4, 3, 2, 1, 1, 1, 7), Axis(4, 4, 2, 1, 1, 1, 8))),)
    (layer,) = text("8,4,2,1,false", input=(3, 7, 8)).layers
    assert [(a.pad_lo, a.pad_hi) for a in layer.axes] == [(1, 2), (0, 1)]
    (layer,) = text("8,1,1,3,False", input=(3, 7, 8)).layers
    assert [(a.pad_lo, a.pad_hi, a.out) for a in layer.axes] == [(0, 0, 3), (0, 0, 3)]


@pytest.mark.parametrize(("kernel", "pad", "extra"), [(1, 0, 1), (2, 0, 0), (3, 1, 1), (4, 1, 0), (5, 2, 1)])
def test_deconvolution_1_doubles(text, kernel, pad, extra):
    (layer,) = text(f"8,{kernel},{kernel},1,True", input=(3, 5, 6)).layers
    assert layer.axes == tuple(TransposedAxis(n, kernel, 2, 1, pad, pad, extra) for n in (5, 6))
    assert [axis.out for axis in layer.axes] == [10, 12]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_deconvolution_2_keeps_the_size(text, kernel):
    (layer,) = text(f"8,{kernel},{kernel},2,True", input=(3, 5, 6)).layers
    assert isinstance(layer, Deconvolution)
    assert [(a.out, a.stride, a.pad_lo, a.pad_hi) for a in layer.axes] == [
        (n, 1, (kernel - 1) // 2, kernel // 2) for n in (5, 6)
    ]


def test_three_axes_come_depth_first_while_the_kernel_is_written_depth_last(text):
    (layer,) = text("8,3,5,7,1,False", input_3d=(4, 20, 30, 40)).layers
    assert [(a.in_size, a.kernel) for a in layer.axes] == [(20, 7), (30, 3), (40, 5)]


def test_sizes_follow_and_the_first_3d_line_takes_a_new_input(text):
    network = text(
        "8,3,3,2,False\n9,3,3,1,True\n\n# 3-D\n4,3,3,3,2,False\n5,3,3,3,1,True",
        input=(3, 8, 8),
        input_3d=(2, 4, 6, 8),
    )
    assert [node.shape for node in network.nodes] == [(8, 4, 4), (9, 8, 8), (4, 2, 3, 4), (5, 4, 6, 8)]
    assert [node.inputs for node in network.nodes] == [("input",), ("layer1",), ("input_3d",), ("layer3",)]
    assert network.inputs == (("input", (3, 8, 8)), ("input_3d", (2, 4, 6, 8)))


def test_perceptron_and_fully_connected_lines(text):
    perceptron, connected = text("1024, 3, 64, 128\n5,128,10  # runs five times\n").layers
    assert perceptron == Layer("layer1", 128, 64, (Axis(3072, in_size=3072),), op="fc")
    assert connected == Layer("layer2", 10, 128, (Axis(1, in_size=1),), op="fc", count=5)


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ("8,3,3,1", "line 1", None),  # four fields are a perceptron
        ("8,3,3\n8,3", "line 2", "got 2 fields, allowed: 3 (count"),
        ("8,3,3,1,False,1,1,1", "line 1", "got 8 fields"),
        ("# x\n\n8,3,x,1,False", "line 3", "kernel_w is 'x', allowed: a whole number of at least 1"),
        ("8,3,3.0,1,False", "line 1", "kernel_w is '3.0'"),
        ("8,0,3,1,False", "line 1", "kernel_h is 0, allowed: at least 1"),
        ("-8,3,3,1,False", "line 1", "out_channels is -8, allowed: at least 1"),
        ("8,3,3,0,False", "line 1", "stride is 0"),
        ("8,3,3,1,Maybe", "line 1", "deconv is 'Maybe', allowed: True or False"),
        ("8,3,3,3,True", "line 1", "stride of a deconvolution is 3, allowed: 1 (up-sample by two) or 2"),
        ("8,3,3,1,", "line 1", "deconv is ''"),
        ("8,3,3,1,False\n8,3,3,3,1,False", "line 2", "input_3d (C, D, H, W) is not given"),
        ("8,3,3,99999999999,False", "line 1", "stride is 99999999999, allowed: at most 2147483647"),
        ("8,3,3,99999999,False", "line 1", "stride is 99999999, allowed: at most 65536"),
        ("8,3,3," + "9" * 5000 + ",False", "line 1", "stride is '999"),
        ("8,٣,3,1,False", "line 1", "kernel_h is"),  # an Arabic digit
        ("8,3,3,1,False\n1,2,3\n8,3,3,1,False", "line 3", "after a layer of shape [3, 1]"),
        ("", "", "has no layers"),
        ("# nothing\n", "", "has no layers"),
    ],
)  # fmt: skip
def test_errors_name_the_line(text, content, where, problem):
    if problem is None:
        assert text(content, input=(3, 8, 8)).layers
        return
    with pytest.raises(InputError) as caught:
        text(content, input=(3, 8, 8))
    assert caught.value.where == where
    assert problem in caught.value.problem
    assert len(str(caught.value).splitlines()) == 1


def test_2d_after_3d_is_an_error(text):
    with pytest.raises(InputError, match=r"line 2: got 5 fields \(2-D\) after a 3-D layer"):
        text("8,3,3,3,1,False\n8,3,3,1,False", input=(3, 8, 8), input_3d=(3, 8, 8, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "line 1: needs the shape of its ifmap, input"),
        ({"input": (3, 8)}, "input: got 2 numbers"),
        ({"input": (3, 0, 8)}, "a size is 0"),
        ({"input": (3, 8, 2**31)}, "a size is 2147483648, allowed: at most 2147483647"),
        ({"input": (3, 8, 8), "input_3d": (1,)}, "input_3d: got 1 numbers"),
        ({"input": (3, 8, 8), "dims": {"a": 1}}, "dim: symbolic dimensions are for ONNX"),
    ],
)
def test_bad_inputs(text, options, message):
    with pytest.raises(InputError) as caught:
        text("8,3,3,1,False", **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["net", "net.png", "net.YAML.gz"])
def test_unknown_endings(name):
    with pytest.raises(InputError, match=r"ending is .*allowed: .yaml"):
        read_network(name)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_network(tmp_path / "none.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InputError, match="directory"):
        read_network(tmp_path / "folder.txt")
    (tmp_path / "latin.txt").write_bytes(b"8,3,3,1,False\n\xff\n")
    with pytest.raises(InputError, match="line 2: is not UTF-8"):
        read_network(tmp_path / "latin.txt")
    with open(tmp_path / "huge.txt", "wb") as stream:
        stream.truncate(5 << 20)
    with pytest.raises(InputError, match="larger than"):
        read_network(tmp_path / "huge.txt")


def test_reading_text_imports_no_heavy_package(tmp_path):
    (tmp_path / "net.txt").write_text("8,3,3,1,False")
    code = (
        "import sys; from dnns.reader import read_network; read_network(sys.argv[1], input=(3, 8, 8));"
        "print([m for m in ('numpy', 'pydantic', 'yaml', 'onnx', 'rich') if m in sys.modules])"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "net.txt")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == "[]"
