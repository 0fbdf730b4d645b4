"""What docs/exports.md shows is what is written."""

import re
from pathlib import Path

import pytest

from solvers.export import main
from solvers.run import main as run

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "exports.md"
FILE = re.compile(r"(<!-- (\w+) (\S+) -->\n```\w*\n)(.*?)(```\n)", re.DOTALL)
TABLE = re.compile(r"(<!-- table of (\w+) -->\n```\n)(.*?)(```\n)", re.DOTALL)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("exports") / "vgg16.json"
    assert run(["vgg16", "--quiet", "--outfile", str(path)]) == 0
    return path


def test_the_files_shown_are_those_that_are_written(result):
    shown = FILE.findall(PAGE.read_text())
    assert [tool for _, tool, _, _, _ in shown] == ["timeloop", "accelforge", "zigzag", "scalesim"]
    for _, tool, name, text, _ in shown:
        assert main([str(result), "--to", tool, "--out", str(result.parent / tool)]) == 0
        assert (result.parent / tool / name).read_text() == text


def test_the_table_shown_is_what_is_printed(result, capsys, monkeypatch):
    ((_, tool, text, _),) = TABLE.findall(PAGE.read_text())
    monkeypatch.chdir(result.parent)
    assert main(["vgg16.json", "--to", tool, "--out", f"vgg16-{tool}"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.strip().splitlines()]
    assert [line for line in printed if line] == text.splitlines()
