"""The published comparison: one aligned table a scope, and no energy beside traffic without a word."""

import re
from dataclasses import replace
from fractions import Fraction
from functools import partial

from benchmarks import original
from dnns.terminal.streams import show
from dnns.terminal.tables import printed
from formulation.mapping import Partition
from solvers.asv import AsvComparison, Sum, WayTotals, main, print_comparison


def compared(name):
    """A comparison as it would be of a network of this name."""

    def way(latency, traffic):
        alone = Sum(Fraction(latency), Fraction(traffic), Fraction(3 * traffic))
        return WayTotals(alone, replace(alone, latency=2 * alone.latency))

    steps = way(1000, 10800), way(90, 10000), way(80, 150)
    return AsvComparison(name, Partition(1 << 20, 1 << 21, 1 << 20), way(1200, 10000), steps, (3, 4), 1.0)


def test_the_tables_are_aligned_and_tell_energy_from_traffic(capsys):
    show(printed(partial(print_comparison, [compared("flownetc"), compared("dcgan")])))
    text = capsys.readouterr().out
    assert "the SRAM on both sides, and of the DRAM" in " ".join(text.split())
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


def test_the_original_tools_own_mappings_are_those_of_its_run_and_priced_in_the_page():
    found = [one for _, _, one in original.problems()]
    assert (sum(one.cycles for one in found), sum(one.words for one in found)) == (256_957_376, 126_453_216)
    text = original.table()
    assert "12 too large, 13 twice" in text
    assert text in original.PAGE.read_text()
