"""What all tests share.

Property tests: few examples by default, fifty times as many with ``--hypothesis-profile thorough``.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "default", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough",
    parent=settings.get_profile("default"),
    max_examples=5000,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(  # where it counts whether a test fails, and not how: ``tests.mutants``
    "unshrunk", parent=settings.get_profile("default"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("default")

os.environ.pop("COLUMNS", None)  # readline, which pytest loads, sets it for its children behind its back
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell gives that to what runs in its background,
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # and the commands that tests start would have it

TINY = """\
name: tiny
input: [3, 12, 10]
layers:
  - {name: a, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: up, op: deconv, out_channels: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1}
  - {name: gaps, op: deconv, out_channels: 2, kernel: 2, stride: 3}
  - {name: head, op: fc, out_channels: 10}
"""


@pytest.fixture
def tiny(tmp_path):
    """The scenario of a small network with everything in it."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("network: tiny.yaml\nhardware: {bufsize: 4096}\ndeconvolution: split\n")
    return scenario
