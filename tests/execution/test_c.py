"""The C: it compiles without a warning, moves what the DMA program moves, and computes the layer."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from formulation.mapping import Stationary
from solvers.scenario.hardware import HardwareModel
from solvers.schedules.execution.arithmetic import direct
from solvers.schedules.execution.events import DmaTransfer
from solvers.schedules.execution.plan import NetworkPlan
from solvers.schedules.execution.steps import NestRun
from solvers.schedules.execution.written.as_c import program
from solvers.show import main
from tests import strategies
from tests.execution.layers import NETWORKS, plain, shared
from tests.shared.test_execution import deconvolutions
from tests.shared.test_execution import mappings as shared_mappings

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
#: Reads ifmap and weights of each layer from standard input, runs its schedule, writes its ofmap.
MAIN = r"""
#define TRACE
#define NO_MAIN
#include "schedule.c"
static void fill(enum tensor tensor, long count) {
    dram[tensor] = malloc(sizeof(word_t) * (size_t)count);
    for (long j = 0; j < count; j++)
        if (tensor == OFMAP)
            dram[tensor][j] = 1 << 20;
        else if (scanf("%d", &dram[tensor][j]) != 1)
            exit(2);
}
int main(void) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct layer *l = &layers[i];
        long count[3] = {l->images * l->groups * l->channels, l->images * l->groups * l->filters,
                         l->groups * l->channels * l->filters};
        for (int a = 0; a < 3; a++)
            count[0] *= l->ifmap[a], count[1] *= l->ofmap[a], count[2] *= l->kernel[a];
        fill(IFMAP, count[0]);
        fill(WEIGHTS, count[2]);
        fill(OFMAP, count[1]);
        l->run();
        for (long j = 0; j < count[1]; j++)
            printf("%d\n", dram[OFMAP][j]);
    }
    return 0;
}
"""


def compiled(folder, source, *options):
    binary = folder / "schedule"
    subprocess.run(["cc", *STRICT, *options, "-o", binary, source], check=True, cwd=folder)
    return binary


@st.composite
def layers(draw):
    """A convolution or a deconvolution with shared tiles, and any mapping."""
    hardware = draw(strategies.hardware())
    if draw(st.booleans()):
        layer = draw(strategies.layers(most=7, channels=5))
        return plain(layer, hardware, draw(strategies.mappings(layer, hardware)))
    deconv = draw(deconvolutions())
    mapping = draw(shared_mappings(deconv, hardware))
    slides = mapping.sliding_axis is not None and mapping.stationary is Stationary.OUTPUT
    assume(not slides or mapping.in_channels == deconv.in_channels)
    return shared(deconv, hardware, mapping)


def traced(event, transposed):
    """An event as the stubs tell it."""
    if not isinstance(event, DmaTransfer):
        words = event.first_slice, event.weights_word, event.ofmap_word, int(event.accumulate)
        return " ".join(map(str, ("compute", event.after, *words)))
    way = "in" if event.into_buffer else ("partial" if event.partial else "out")
    dims = list(zip(event.shape, event.strides, event.word_strides, strict=True))
    if transposed and event.tensor == "weights":
        dims[:2] = dims[1::-1]
    head = way, ("ifmap", "ofmap", "weights").index(event.tensor), event.offset, event.after, event.word
    return " ".join([*map(str, head), *(f"{n}:{dram}:{part}" for n, dram, part in dims if n > 1)])


def drawn():
    """Many layers, so that one program has them all."""
    found = []

    @settings(strategies.examples(50), phases=[Phase.generate])
    @given(layers())
    def gather(layer):
        found.append(replace(layer, name=f"{layer.name}{len(found)}"))

    gather()
    return found


def test_it_moves_what_the_dma_program_moves_and_computes_the_layer(tmp_path):
    folder, expected, given_words, many = tmp_path, [], [], drawn()
    source = "".join(program(NetworkPlan("random", HardwareModel(), tuple(many)), many))
    (folder / "schedule.c").write_text(source)
    (folder / "main.c").write_text(MAIN)
    random = np.random.default_rng(11)
    for layer in many:
        ifmap, weights = (random.integers(-9, 10, tensor.shape) for tensor in layer.tensors[:2])
        given_words += [*ifmap.ravel(), *weights.ravel()]
        for run in layer.runs:
            zeros = run.zeros
            expected += [f"zeros 1 {z.offset} 0 -1" for z in zeros]
            expected += [
                traced(event, layer.transposed) for nest in run.nests for event in NestRun(nest).events()
            ]
        expected += [
            f"{word:.0f}" for word in direct(layer, ifmap.astype(float), weights.astype(float)).ravel()
        ]
    numbers = " ".join(map(str, given_words))
    done = subprocess.run([compiled(folder, "main.c")], input=numbers, capture_output=True, text=True)
    lines = [" ".join(x.split()[:5]) if x.startswith("zeros") else x for x in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert lines == expected


@pytest.mark.parametrize("treatment", ["naive", "split", "combine"])
@pytest.mark.parametrize("shape", NETWORKS)
def test_the_program_checks_itself_and_counts_as_the_result_does(small, tmp_path, capsys, shape, treatment):
    file = small(shape, treatment)
    assert main([str(file), "--format", "c"]) == 0
    (tmp_path / "schedule.c").write_text(capsys.readouterr().out)
    done = subprocess.run(
        [compiled(tmp_path, "schedule.c", "-O1")], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    data = json.loads(file.read_text())["layers"]
    assert len(lines) == len(data)
    for line, layer in zip(lines, data, strict=True):
        assert line.startswith(f"{layer['name']}: ifmap ")
        assert line.endswith("equals the direct convolution")
        words = sum(int(text.split()[1]) for text in line.partition(": ")[2].split(" words")[0].split(", "))
        assert words * 2 == layer["traffic_bytes"]


def test_a_broken_schedule_is_told_by_the_program(small, tmp_path, capsys):
    file = small("[4, 6, 5]")
    assert main([str(file), "--format", "c", "--layer", "l1"]) == 0
    source = capsys.readouterr().out
    assert source.count("fetch_ifmap(&at, 0);") == 1
    (tmp_path / "schedule.c").write_text(
        source.replace("fetch_ifmap(&at, 0);", "fetch_ifmap(&at, 0); anchor++;")
    )
    program_path = compiled(tmp_path, "schedule.c")
    assert subprocess.run([program_path, "l1"], capture_output=True, check=False).returncode == 1
    assert subprocess.run([program_path, "l0"], capture_output=True, check=False).returncode == 1
