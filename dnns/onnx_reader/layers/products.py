"""ONNX matrix products: from tensors and attributes to the output's shape and the layer."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from dnns.axes import Axis
from dnns.layer import Layer
from dnns.onnx_reader.inference.values import Attributes, Made, Operands, Shape, Unsupported, Value
from dnns.windows import bounded


def gemm(operands: Operands, attributes: Attributes) -> Made:
    """``Gemm`` and its relatives."""
    a, b = operands.x.known, operands.w.known
    if (len(a), len(b)) != (2, 2):
        raise ValueError(f"operands {list(a)} and {list(b)} must have 2 dimensions")
    a = a[::-1] if attributes.integer("transA", 0) else a
    b = b[::-1] if attributes.integer("transB", 0) else b
    return _product(operands, a, b)


def matmul(operands: Operands, attributes: Attributes) -> Made:
    """A product with numpy's broadcasting, either factor of which may be an activation."""
    a = _arranged(operands.x.known, attributes, "A")
    b = _arranged(operands.w.known, attributes, "B")
    return _product(operands, a, b)


def _arranged(shape: Shape, attributes: Attributes, side: str) -> Shape:
    """Batch dimensions in front, and the last two as they are multiplied."""
    if len(shape) > 2 and attributes.integer(f"transBatch{side}", 0):  # the first dimension goes behind them
        shape = (*shape[1:-1], shape[0], shape[-1])
    if len(shape) > 1 and attributes.integer(f"trans{side}", 0):
        shape = (*shape[:-2], shape[-1], shape[-2])
    return shape


def fixed(operands: Operands, attributes: Attributes) -> Made:
    """The product that an operator was written out to: all its sizes stand in its attributes."""
    rows, inner, columns, groups, count = (
        bounded(name, attributes.integer(name, 1)) for name in ("rows", "inner", "columns", "groups", "count")
    )
    op = "fc" if operands.w.weight else "matmul"
    axes = (Axis(rows, in_size=rows),)
    return attributes.integers("shape"), Layer(operands.name, columns, inner, axes, 1, groups, op, count)


def packed(operands: Operands, attributes: Attributes) -> Made:
    """Weights of a few bits each, packed; their shape stands in the attributes."""
    inner, columns = bounded("K", attributes.integer("K", 0)), bounded("N", attributes.integer("N", 0))
    return _product(operands, operands.x.known, (inner, columns))


def _product(operands: Operands, a: Shape, b: Shape) -> Made:
    """``a @ b`` with numpy's rules for vectors and for broadcasting leading dimensions.

    Leading dimensions that both have are independent products (groups). One that only ``a`` has makes more
    rows for the same ``b``, and the other way round, so that nothing is counted as fetched twice.
    """
    if not a or not b:
        raise ValueError(f"operands {list(a)} and {list(b)} must have 1 dimension or more")
    rows, inner = (a[-2] if len(a) > 1 else 1), a[-1]
    columns, inner_b = (b[-1] if len(b) > 1 else 1), b[-2] if len(b) > 1 else b[0]
    if inner != inner_b:
        raise ValueError(f"inner sizes of {list(a)} and {list(b)} differ")
    length = max(len(a), len(b)) - 2
    lead_a = (1,) * (length - len(a[:-2])) + a[:-2]
    lead_b = (1,) * (length - len(b[:-2])) + b[:-2]
    if any(p != q and 1 not in (p, q) for p, q in zip(lead_a, lead_b, strict=True)):
        raise ValueError(f"leading dimensions of {list(a)} and {list(b)} cannot be broadcast")
    pairs = list(zip(lead_a, lead_b, strict=True))
    groups = prod(p for p, q in pairs if p == q)
    rows_all = rows * prod(p for p, q in pairs if p != q and q == 1)
    columns_all = columns * prod(q for p, q in pairs if p != q and p == 1)
    if operands.x.weight and not operands.w.weight:  # weights on the left: the activation streams
        rows_all, columns_all = columns_all, rows_all
    fixed = operands.x.weight or operands.w.weight
    axes = (Axis(rows_all, in_size=rows_all),)
    layer = Layer(operands.name, columns_all, inner, axes, 1, groups, "fc" if fixed else "matmul")
    ends = (*((rows,) if len(a) > 1 else ()), *((columns,) if len(b) > 1 else ()))
    return (*(max(p, q) for p, q in pairs), *ends), layer


def einsum(operands: Operands, attributes: Attributes) -> Made:
    """``Einsum`` of two operands that multiplies matrices.

    Indices of both operands and the output are groups, those of both alone are summed, the others are rows
    and columns. (What only one operand has and the output has not is summed before, without MACs.)
    """
    shapes = (operands.x.known, operands.w.known)
    (left, right), out = einsum_terms(attributes.text("equation", ""), [len(shape) for shape in shapes])
    sizes = _index_sizes((left, right), shapes)
    shared = [i for i in dict.fromkeys(left) if i in right]
    groups = prod(sizes[i] for i in shared if i in out)
    inner = prod(sizes[i] for i in shared if i not in out)
    rows = prod(sizes[i] for i in left if i in out and i not in right)
    columns = prod(sizes[i] for i in right if i in out and i not in left)
    a, b = (groups, rows, inner), (groups, inner, columns)
    return tuple(sizes[i] for i in out), _product(operands, a, b)[1]


def einsum_multiplies(attributes: Attributes, operands: Operands) -> bool:
    """Whether an ``Einsum`` of two operands sums products or makes an outer one; else it is element-wise."""
    ranks = (len(operands.x.known), len(operands.w.known))
    (left, right), out = einsum_terms(attributes.text("equation", ""), ranks)
    summed = any(i in right and i not in out for i in left)
    return summed or (
        any(i not in right and i in out for i in left) and any(i not in left and i in out for i in right)
    )


def einsum_shape(operands: Sequence[Value], attributes: Attributes) -> Shape:
    """Output of an ``Einsum`` of one or two operands that multiplies nothing or element by element."""
    shapes = [value.known for value in operands]
    terms, out = einsum_terms(attributes.text("equation", ""), [len(shape) for shape in shapes])
    sizes = _index_sizes(terms, shapes)
    return tuple(sizes[i] for i in out)


def einsum_terms(equation: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """Indices of each operand and of the output; those of an ellipsis are numbers, counted from the right."""
    shown = equation[:60]
    terms, arrow, result = equation.replace(" ", "").partition("->")
    words = terms.split(",")
    if len(words) != len(ranks):
        raise ValueError(f"equation {shown!r} is of {len(words)} operands, there are {len(ranks)}")
    indices = [_indices(word, rank) for word, rank in zip(words, ranks, strict=True)]
    every = [index for term in indices for index in term]
    dots = sorted({index for index in every if index.isdigit()}, key=int, reverse=True)
    if arrow:
        out = _indices(result, len(result.replace("...", "")) + (len(dots) if "..." in result else 0))
    else:
        out = [*dots, *sorted(i for i in set(every) if every.count(i) == 1 and not i.isdigit())]
    if len(set(out)) < len(out) or not set(out) <= set(every):
        raise ValueError(f"equation {shown!r} has an output that does not follow from its operands")
    return indices, out


def _indices(word: str, rank: int) -> list[str]:
    before, dots, after = word.partition("...")
    wide = rank - len(before) - len(after) if dots else 0
    letters = [*before, *(str(wide - 1 - i) for i in range(wide)), *after]
    if len(letters) != rank or (not (before + after).isalpha() and before + after):
        raise ValueError(f"equation term {word[:60]!r} does not fit an operand of {rank} dimensions")
    if len(set(letters)) < len(letters):
        raise Unsupported(f"equation term {word[:60]!r} takes a diagonal")
    return letters


def _index_sizes(terms: Sequence[list[str]], shapes: Sequence[Shape]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for indices, shape in zip(terms, shapes, strict=True):
        for index, size in zip(indices, shape, strict=True):
            if sizes.setdefault(index, size) != size and 1 not in (size, sizes[index]):
                raise ValueError(f"index {index} has sizes {sizes[index]} and {size}")
            sizes[index] = max(size, sizes[index])
    return sizes
