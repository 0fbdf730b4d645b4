"""Renew the README's output: ``python -m tests.readme``."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
OUTPUT = re.compile(r"<!-- output of: python -m (.+?) -->\n```\n(.*?)```\n<!-- end of output -->", re.DOTALL)


def output(command):
    """What a module's command line prints, without trailing blanks."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=ROOT,
        env=environment,  # as os.environ has it: readline, which pytest loads, sets COLUMNS behind its back
        capture_output=True,
        text=True,
        check=True,
    )
    return "".join(line.rstrip() + "\n" for line in done.stdout.rstrip().splitlines())


def renewed(text):
    """The README with every output as it is now."""

    def block(match):
        command = match[1]
        return f"<!-- output of: python -m {command} -->\n```\n{output(command)}```\n<!-- end of output -->"

    return OUTPUT.sub(block, text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
