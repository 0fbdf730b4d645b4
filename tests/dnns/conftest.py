"""What the tests of readers share."""

import pytest

from dnns.reader import read_network


@pytest.fixture
def read(tmp_path):
    def run(proto, **options):
        path = tmp_path / "net.onnx"
        path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
        return read_network(path, **options)

    return run
