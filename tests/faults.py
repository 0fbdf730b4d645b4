# ruff: noqa: E501
"""Small faults put into a copy of the code, one by one: which do the tests not see? ``python -m tests.faults``.

Each fault is a law broken by hand, where it would do harm. It takes some minutes, and is meant for the night;
exit code 1 if one lives. ``python -m tests.faults TEXT`` tries those whose name has the text.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: the law that is broken.
        file: where.
        right: what stands there, once.
        wrong: what is put in its place.
        tests: that should see it.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: str


_STAGE, _EXACT = (
    "solvers/layers/exact_stage.py",
    "tests/layers/test_exact.py tests/layers/test_exact_stage.py",
)
_BOUNDS, _SEARCH = "formulation/shared/packing_bounds.py", "formulation/shared/packing/search.py"
_PACKING = "tests/shared/test_packing.py tests/shared/test_methods.py tests/conformance"
FAULTS = (
    Fault(
        "an OUTPUT mapping slides with two ci tiles",
        "formulation/cost.py",
        "return slid + (fetched - slid) * (trips_ci > 1)",
        "return slid",
        "tests/formulation/test_cost.py",
    ),
    Fault(
        "compulsory traffic is over the whole input",
        "formulation/bounds.py",
        "prod(axis.touched for axis in layer.axes)",
        "prod(axis.in_size for axis in layer.axes)",
        "tests/formulation/test_bounds.py",
    ),
    Fault(
        "the roofline has rows x rows",
        "formulation/bounds.py",
        "layer.macs * tick.per_cycle, hardware.rows * hardware.cols",
        "layer.macs * tick.per_cycle, hardware.rows * hardware.rows",
        "tests/formulation/test_bounds.py",
    ),
    Fault(
        "the fullest round of passes holds one filter more",
        _BOUNDS,
        "return np.where(below <= limit, below, v * (filters - others * limit))",
        "return np.where(below <= limit, below, v * (filters - others * limit)) + 1",
        _PACKING,
    ),
    Fault(
        "Q is bounded by the largest tile",
        _BOUNDS,
        "np.maximum(q, count * self.few_pixels)",
        "np.maximum(q, count * self.most_pixels)",
        _PACKING,
    ),
    Fault(
        "a packing's Q is priced one higher",
        _SEARCH,
        "self.price.alpha * weights + self.price.beta * ofmap",
        "self.price.alpha * weights + self.price.beta * (ofmap + 1)",
        _PACKING,
    ),
    Fault("as many filters as rounds are left is too few", _SEARCH, "sum(rest) < count", "sum(rest) <= count", _PACKING),
    Fault("the dual bound plus the margin", _STAGE, "solved.bound - milp.margin", "solved.bound + milp.margin", _EXACT),
    Fault("at a limit the lesser bound", _STAGE, "return max(least, Fraction(", "return min(least, Fraction(", _EXACT),
    Fault("equals are not compared in integers", _STAGE, "settled = self._closed(best).nearest(best)", "settled = best", _EXACT),
    Fault("the proof is not checked", _STAGE, "self._check_proof(settled, milp, solved)", "pass", _EXACT),
    Fault("a mapping may cost less than is said", _STAGE, "if over or under:", "if over:", _EXACT),
    Fault("a mapping may cost more than is said", _STAGE, "if over or under:", "if under:", _EXACT),
)  # fmt: skip


def lives(fault, copy):
    """Whether the tests pass with a fault."""
    file = copy / fault.file
    text = file.read_text()
    assert text.count(fault.right) == 1, f"{fault.name}: {text.count(fault.right)} places in {fault.file}"
    file.write_text(text.replace(fault.right, fault.wrong))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *fault.tests.split()]
    try:
        return subprocess.run(command, cwd=copy, capture_output=True, check=False).returncode == 0
    finally:
        file.write_text(text)


def main(wanted):
    chosen = [fault for fault in FAULTS if wanted in fault.name]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", "*.egg-info"))
        alive = []
        for fault in chosen:
            alive += [fault] * lives(fault, copy)
            print(f"{'lives ' if fault in alive else 'killed'}  {fault.name}", flush=True)
    print(f"{len(chosen) - len(alive)} of {len(chosen)} killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
