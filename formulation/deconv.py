"""Deconvolutions as convolutions: zero-inserted (naive), or split into disjoint sub-convolutions.

Along one axis the outputs of equal residue modulo the stride form a *phase*; each sees its own taps and
reads the ifmap with stride one (``dnns.axes.Phase``). Every combination of phases over the axes is a
sub-convolution of its own; together they write each output exactly once. (ASV, MICRO 2019, section 4.1,
for stride 2; here for any stride, kernel, padding, output padding and dilation.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import product
from math import prod

from dnns.axes import Axis, Phase, TransposedAxis
from dnns.layer import Deconvolution, Layer


class Treatment(StrEnum):
    """How deconvolutions are run."""

    NAIVE = "naive"
    SPLIT = "split"
    COMBINE = "combine"


def naive(deconv: Deconvolution) -> Layer:
    """The ordinary convolution over the zero-inserted ifmap, which is stored, fetched and multiplied.

    Per axis: ifmap of ``(in-1)*stride + 1 + output_padding``, padding ``dilation*(kernel-1) - pad``.
    """

    def axis(a: TransposedAxis) -> Axis:
        reach = a.dilation * (a.kernel - 1)
        return Axis(
            out=a.out,
            kernel=a.kernel,
            dilation=a.dilation,
            pad_lo=reach - a.pad_lo,
            pad_hi=reach - a.pad_hi,
            in_size=(a.in_size - 1) * a.stride + 1 + a.output_padding,
        )

    return _convolution(deconv, deconv.name, tuple(axis(a) for a in deconv.axes))


@dataclass(frozen=True, slots=True)
class SubConvolution:
    """One combination of phases of a deconvolution.

    Attributes:
        phases: the phase of each axis.
        layer: the stride-1 convolution it is, None if no tap reaches its outputs, which then are zero.
        out: output extents.
        ofmap_words: outputs of all channels, groups and images.
    """

    phases: tuple[Phase, ...]
    layer: Layer | None
    out: tuple[int, ...]
    ofmap_words: int

    @property
    def name(self) -> str:
        """The residues, such as ``0.1``."""
        return ".".join(str(p.residue) for p in self.phases)


@lru_cache(maxsize=256)
def split(deconv: Deconvolution) -> tuple[SubConvolution, ...]:
    """The disjoint sub-convolutions, in lexicographic order of the phases' residues."""
    return tuple(_sub(deconv, phases) for phases in product(*(a.phases for a in deconv.axes)))


def _sub(deconv: Deconvolution, phases: tuple[Phase, ...]) -> SubConvolution:
    out = tuple(p.out for p in phases)
    words = deconv.groups * deconv.batch * deconv.out_channels * prod(out)
    layer = None
    if all(p.taps for p in phases):
        axes = tuple(phase_axis(p, a.in_size) for p, a in zip(phases, deconv.axes, strict=True))
        name = f"{deconv.name}/{'.'.join(str(p.residue) for p in phases)}"
        layer = _convolution(deconv, name, axes)
    return SubConvolution(phases, layer, out, words)


def phase_axis(phase: Phase, in_size: int) -> Axis:
    """One axis of a sub-convolution.

    Output ``m`` reads inputs ``m + offset - i*reach`` for taps ``i < taps``: a convolution of stride 1 and
    dilation ``reach`` with the taps reversed, padded by ``(taps-1)*reach - offset`` (a crop if negative).
    """
    span = (phase.taps - 1) * phase.reach
    pad_lo = span - phase.offset
    return Axis(
        out=phase.out,
        kernel=phase.taps,
        dilation=phase.reach,
        pad_lo=pad_lo,
        pad_hi=phase.out + span - pad_lo - in_size,
        in_size=in_size,
    )


def _convolution(deconv: Deconvolution, name: str, axes: tuple[Axis, ...]) -> Layer:
    return Layer(name, deconv.out_channels, deconv.in_channels, axes, deconv.batch, deconv.groups)


def unique_layers(subs: tuple[SubConvolution, ...]) -> Iterator[tuple[Layer, tuple[SubConvolution, ...]]]:
    """The sub-convolutions that have taps, identical ones together, in order of their first."""
    alike: dict[Layer, list[SubConvolution]] = {}
    for sub in subs:
        if sub.layer is not None:
            alike.setdefault(replace(sub.layer, name=""), []).append(sub)
    for members in alike.values():
        first = members[0].layer
        assert first is not None
        yield first, tuple(members)
