"""A small sweep with everything in it: naive, split and shared deconvolutions, and points that do not fit."""

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


@pytest.fixture
def sweep(tiny):
    """The file of a sweep of the small network."""
    file = tiny.with_name("sweep.yaml")
    file.write_text(SWEEP)
    return file
