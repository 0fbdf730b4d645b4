"""Random layers, machines, mappings and problems for property tests."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, settings
from hypothesis import strategies as st

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Layer
from formulation.hardware import BitWidths, Dataflow, Energy, Fill, Halo, Hardware, Layout
from formulation.mapping import Mapping, Partition, Stationary, Tile
from formulation.problem import Kind, Objective, Problem

#: Bandwidths that make ticks so short that 64 bits do not hold the latency of a layer.
AWKWARD = (Fraction("21.333333333333332"), Fraction("2.5123456789012"))
#: With and without static power; one with decimals that 64 bits do not hold the energy in.
ENERGIES = (
    Energy(),
    Energy(Fraction(1, 5), Fraction(3, 10), Fraction(7), Fraction(45)),
    Energy(Fraction(0), Fraction("0.1234567890123456789"), Fraction("3.3333333333333333"), Fraction(1)),
)
#: Objectives without energy.
BARE = tuple(kind for kind in Kind if kind is not Kind.ENERGY)


def examples(count):
    """Settings for a number of examples under the default profile, and in proportion under others."""
    return settings(max_examples=max(1, count * settings().max_examples // 100))


@st.composite
def axes(draw, most=9):
    out, kernel = draw(st.integers(1, most)), draw(st.integers(1, 5))
    stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    pad_lo = draw(st.integers(-1, kernel + 2))
    span = (out - 1) * stride + dilation * (kernel - 1) + 1
    in_size = draw(st.integers(max(1, span - pad_lo - 4), max(1, span - pad_lo + 2)))
    return Axis(out, kernel, stride, dilation, pad_lo, max(span - pad_lo - in_size, -1), in_size)


@st.composite
def layers(draw, most=9, channels=9, most_axes=3):
    count = draw(st.integers(1, most_axes))
    sizes = most if count == 1 else max(2, most // count)
    return Layer(
        "random",
        draw(st.integers(1, channels)),
        draw(st.integers(1, channels)),
        tuple(draw(axes(sizes)) for _ in range(count)),
        batch=draw(st.sampled_from((1, 1, 1, 2, 3))),
        groups=draw(st.sampled_from((1, 1, 2))),
    )


@st.composite
def transposed_axes(draw, most=5):
    axis = {
        "in_size": draw(st.integers(1, most)),
        "kernel": draw(st.integers(1, 6)),
        "stride": draw(st.integers(1, 5)),
        "dilation": draw(st.integers(1, 3)),
        "pad_lo": draw(st.integers(-2, 7)),
        "pad_hi": draw(st.integers(-2, 7)),
        "output_padding": draw(st.integers(0, 3)),
    }
    span = (axis["in_size"] - 1) * axis["stride"] + axis["dilation"] * (axis["kernel"] - 1) + 1
    assume(span - axis["pad_lo"] - axis["pad_hi"] + axis["output_padding"] >= 1)
    return TransposedAxis(**axis)


@st.composite
def hardware(draw, set_up=False):
    """Machines; ``set_up`` allows transfers that are set up, which not everything counts."""
    words = st.sampled_from((4, 8, 16))
    ofmap = draw(words)
    uniform = draw(st.booleans())
    bits = BitWidths(draw(words), draw(words), ofmap, ofmap * draw(st.sampled_from((1, 2))))
    buffer = draw(st.integers(20, 3000))
    return Hardware(
        rows=draw(st.integers(1, 6)),
        cols=draw(st.integers(1, 6)),
        buffer_bytes=buffer,
        bandwidth=draw(st.sampled_from((*map(Fraction, ("0.5", "2", "25.6", "3.7")), *AWKWARD))),
        frequency=draw(st.sampled_from((Fraction(1), Fraction(7, 10), Fraction("0.7654321")))),
        bits=BitWidths.uniform(16) if uniform else bits,
        dataflow=draw(st.sampled_from((Dataflow.OUTPUT, Dataflow.OUTPUT, *Dataflow))),
        bank_bytes=draw(st.sampled_from((None, None, max(1, buffer // 9)))),
        double_buffered=draw(st.booleans()),
        halo=draw(st.sampled_from(tuple(Halo))),
        fill=draw(st.sampled_from(tuple(Fill))),
        energy=draw(st.sampled_from(ENERGIES)),
        transfer_setup=draw(st.sampled_from((0, 0, 1, 40, 1000) if set_up else (0,))),
    )


@st.composite
def bursting(draw):
    """Machines whose transfers take whole bursts."""
    return replace(
        draw(hardware(set_up=True)),
        halo=Halo.REFETCH,
        burst_bytes=draw(st.sampled_from((1, 2, 3, 7, 16, 64))),
        layout=draw(st.sampled_from(tuple(Layout))),
    )


@st.composite
def mappings(draw, layer, machine):
    tile = Tile(
        draw(st.integers(1, layer.out_channels)),
        draw(st.integers(1, layer.in_channels)),
        draw(st.integers(1, layer.batch)),
        tuple(draw(st.integers(1, axis.out)) for axis in layer.axes),
    )
    slides = [None]
    if machine.halo is Halo.REUSE:
        slides += range(len(layer.axes))
    return Mapping(tile, draw(st.sampled_from(tuple(Stationary))), draw(st.sampled_from(slides)))


@st.composite
def streamed_mappings(draw, layer, machine):
    """Mappings of a machine that streams: a tile cut in one of the two outer groups of its loop order."""
    mapping = draw(mappings(layer, machine))
    tile, group = mapping.tile, draw(st.sampled_from(mapping.stationary.loops[:2]))
    channels = {"co": "out_channels", "ci": "in_channels"}
    if group in channels:
        size = draw(st.integers(1, getattr(tile, channels[group])))
        inner = replace(tile, **{channels[group]: size})
    else:
        spatial = tuple(draw(st.sampled_from((size, draw(st.integers(1, size))))) for size in tile.spatial)
        inner = replace(tile, batch=draw(st.integers(1, tile.batch)), spatial=spatial)
    return replace(mapping, inner=None if inner == tile else inner)


@st.composite
def objectives(draw, summed=True):
    kinds = tuple(Kind) if summed else BARE
    return Objective(
        draw(st.sampled_from(kinds)),
        draw(st.sampled_from((Fraction(0), Fraction(1, 100), Fraction(1, 5)))),
        draw(st.sampled_from((Fraction(1, 2), Fraction(1, 3), Fraction(0)))),
        draw(st.sampled_from((Fraction(1, 2), Fraction(2)))),
        draw(st.sampled_from((Fraction(0), Fraction(1, 3)))) if summed else Fraction(0),
    )


@st.composite
def problems(draw, most=6, channels=6, most_axes=3, set_up=False):
    machine = draw(hardware(set_up=set_up))
    partition = None
    if draw(st.integers(0, 3)) == 0:
        ratio = [draw(st.integers(1, 5)) for _ in range(3)]
        partition = Partition.from_ratio(ratio, machine.buffer_bits, machine.bank_bits)
    return Problem(draw(layers(most, channels, most_axes)), machine, draw(objectives()), partition)
