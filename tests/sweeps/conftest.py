"""A small sweep with everything in it: split and shared deconvolutions, and points that do not fit."""

import pytest

SWEEP = """\
scenario: scenario.yaml
axes:
  hardware.bufsize: [40, 2KiB]
  deconvolution: [split, combine]
pairs:
  - hardware.sa_size: [4, [2, 8]]
    hardware.frequency: [1, 0.5]
"""

SMALL = """\
name: small
input: [3, 6, 5]
layers:
  - {name: a, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: gaps, op: deconv, out_channels: 2, kernel: 2, stride: 3}
"""


def small(scenario, text):
    """The file of a sweep of a small network, beside a scenario's."""
    scenario.with_name("tiny.yaml").write_text(SMALL)
    file = scenario.with_name("sweep.yaml")
    file.write_text(text)
    return file


@pytest.fixture
def sweep(tiny):
    """The file of a sweep of a small network."""
    return small(tiny, SWEEP)
