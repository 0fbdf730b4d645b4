"""Files that are not what they should be: pipes without a writer, loops of links, bytes that cost memory."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import dnns.files
from dnns.errors import InputError
from dnns.files import read_bytes
from dnns.onnx_reader import wire
from dnns.onnx_reader.file import load_model
from dnns.onnx_reader.wire import WireError, slim
from dnns.reader import read_network


def test_a_pipe_without_a_writer_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(dnns.files, "PIPE_SECONDS", 0.1)
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"is a pipe that brought nothing for 0\.1 s"):
        read_bytes(pipe, 100)


def test_a_pipe_with_a_writer_is_read_whole_however_slowly_it_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(dnns.files, "PIPE_SECONDS", 5.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write():
        with open(pipe, "wb", buffering=0) as stream:
            for part in (b"one ", b"two ", b"x" * 100_000):
                time.sleep(0.05)
                stream.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    assert read_bytes(pipe, 200_000) == b"one two " + b"x" * 100_000
    writer.join()


def test_devices_and_loops_of_links_are_no_surprise(tmp_path):
    assert read_bytes("/dev/null", 10) == b""
    with pytest.raises(InputError, match="larger than 10 bytes"):
        read_bytes("/dev/zero", 10)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="symbolic links"):
        read_bytes(loop, 10)
    with pytest.raises(InputError, match="Is a directory"):
        read_bytes(tmp_path, 10)


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "missing"])
def test_an_onnx_model_is_an_ordinary_file(tmp_path, kind):
    path = tmp_path / "net.onnx"
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
        "missing": lambda: None,
    }[kind]()
    with pytest.raises(InputError, match="cannot be read"):
        load_model(path)


def field(number, value):
    """A field with a length; both below 128 or so."""
    size = len(value)
    return bytes([number << 3 | 2]) + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + value


#: What a parser would take a hundred times the bytes for.
HOSTILE = {
    "zeros": bytes(2_000_000),
    "numbers": bytes([8, 0]) * 1_000_000,
    "nodes": field(7, bytes([10, 0]) * 1_000_000),
    "attributes": field(7, field(1, bytes([42, 0]) * 1_000_000)),
    "shapes": field(7, field(11, field(2, field(1, field(2, bytes([10, 0]) * 900_000))))),
    "text": field(7, field(1, bytes([10, 0]) * 1_000_000)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_bytes_of_no_model_are_refused_before_they_are_parsed(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(wire, "MAX_FIELDS", 200_000)
    path = tmp_path / "net.onnx"
    path.write_bytes(HOSTILE[kind])
    with pytest.raises(InputError, match=r"is not an ONNX model: (it has more than 200000 fields|truncated)"):
        load_model(path)


def test_many_small_messages_are_refused(monkeypatch):
    import onnx

    monkeypatch.setattr(wire, "MAX_MESSAGES", 1000)
    descriptor = onnx.ModelProto.DESCRIPTOR
    assert slim(field(7, bytes([10, 0]) * 900), descriptor)
    with pytest.raises(WireError, match="more than 1000 parts"):
        slim(field(7, bytes([10, 0]) * 1000), descriptor)


def test_the_size_is_bounded_before_anything_is_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(wire, "MAX_GRAPH_BYTES", 1000)
    path = tmp_path / "net.onnx"
    path.write_bytes(field(7, field(10, b"x" * 2000)))
    with pytest.raises(InputError, match="its graph is larger than 1000 bytes"):
        load_model(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a peak")
def test_twenty_megabytes_of_zeros_cost_no_more_than_a_start(tmp_path):
    path = tmp_path / "net.onnx"
    with open(path, "wb") as stream:
        stream.truncate(20_000_000)
    code = "import sys; from dnns.show import main; done = main(sys.argv[1:]); "
    code += (
        "print(*[line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line]); sys.exit(done)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"{path}: is not an ONNX model: truncated or corrupt\n"
    assert int(done.stdout) < 400_000  # KiB; 1.4 GB once


def test_large_payloads_are_left_out_at_every_depth():
    import onnx
    from onnx import TensorProto, helper

    big = helper.make_tensor("w", TensorProto.FLOAT, [40_000], bytes(160_000), raw=True)
    small = helper.make_tensor("s", TensorProto.INT64, [2], [3, 4])
    node = helper.make_node("Constant", [], ["c"], value=big)
    inner = helper.make_graph([node], "inner", [], [], [small, big])
    outer = helper.make_node("If", ["x"], ["y"], then_branch=inner)
    model = helper.make_model(helper.make_graph([outer], "g", [], [], [big]))
    slimmed = onnx.ModelProto.FromString(slim(model.SerializeToString(), onnx.ModelProto.DESCRIPTOR))
    assert slimmed.ByteSize() < 1000
    body = slimmed.graph.node[0].attribute[0].g
    assert (body.initializer[0], body.initializer[1].dims) == (small, [40_000])
    assert not body.initializer[1].raw_data
    assert slimmed.graph.initializer[0].name == "w"
    for tensor in (model.graph.initializer[0], *model.graph.node[0].attribute[0].g.initializer[1:]):
        tensor.ClearField("raw_data")
    model.graph.node[0].attribute[0].g.node[0].attribute[0].t.ClearField("raw_data")
    assert slimmed == model


def test_paths_from_before_networks_had_a_room_stay_good(tmp_path):
    old = Path(__file__).parents[2] / "dnns" / "dcgan.yaml"
    assert not old.exists()
    assert read_network(old) == read_network(old.parent / "networks" / old.name)
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "dcgan.yaml").write_text((old.parent / "networks" / old.name).read_text())
    with pytest.raises(InputError, match="cannot be read"):  # only a folder of that name has the room
        read_network(tmp_path / "dcgan.yaml")
