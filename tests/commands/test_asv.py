"""The published comparison: one aligned table a scope, and no energy beside traffic without a word."""

import re

from solvers.asv import main


def test_the_tables_are_aligned_and_tell_energy_from_traffic(capsys):
    assert main(["flownetc", "dcgan"]) == 0
    text = capsys.readouterr().out
    assert "it is no figure for the traffic beside it" in " ".join(text.split())
    lines = text.splitlines()
    heads = [line for line in lines if line.lstrip().startswith("network  ")]
    assert len(heads) == 2
    for stage in ("split", "+ optimised", "+ combined"):
        rows = [line for line in lines if re.search(rf"(flownetc|dcgan|^)  +{re.escape(stage)}  ", line)]
        assert len(rows) == 4
        assert len({line.index(stage) for line in rows}) == 1
        assert len({re.search(r"\d\.\d\d", line).end() for line in rows}) == 1, "points under points"


def test_the_papers_columns_are_the_first_to_go(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "48")
    assert main(["dcgan"]) == 0
    text = capsys.readouterr().out
    assert "traffic" in text
    assert "energy\n" not in text
    assert all(len(line) <= 48 for line in text.splitlines())
