"""Rows as Parquet files: typed columns, with units in the schema."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dnns import PROJECT
from dnns.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 4096
"""Rows of a group in the file, and in memory."""


class Column(NamedTuple):
    """A column.

    Attributes:
        name: of it.
        kind: ``int``, ``float``, ``bool``, ``text`` or ``ints`` (a list).
        unit: of its values, ``""`` if they have none.
        meaning: in a few words.
    """

    name: str
    kind: str
    unit: str = ""
    meaning: str = ""


POINT = (
    Column("network_name", "text", "", "name of the network"),
    Column("status", "text", "", "solved, time limit, does not fit or failed"),
    Column("reason", "text", "", "what keeps it from being solved"),
    Column("complete", "bool", "", "whether every layer has a mapping; the totals cover those that have"),
    Column("optimal", "bool", "", "whether every mapping is proven optimal"),
    Column("macs", "int", "MAC"),
    Column("latency_cycles", "float", "cycles"),
    Column("traffic_bytes", "float", "bytes", "DRAM traffic"),
    Column("energy_pj", "float", "pJ"),
    Column("energy_delay_js", "float", "J s"),
    Column("latency_cycles_bound", "float", "cycles", "proven, for the map space"),
    Column("traffic_bytes_bound", "float", "bytes", "proven likewise; balanced: within the latency cap"),
    Column("gap", "float", "", "greatest of the layers'"),
    Column("roofline_cycles", "float", "cycles", "of any schedule"),
    Column("compulsory_bytes", "float", "bytes", "of any schedule"),
    Column("least_traffic_bytes", "float", "bytes", "of any schedule of the layers one by one"),
    Column("least_energy_pj", "float", "pJ", "of any schedule"),
)
"""Columns of a point, behind its number and its axes."""

LAYER = (
    Column("layer", "text"),
    Column("op", "text"),
    Column("part", "text", "", "of a deconvolution: its sub-convolution"),
    Column("deconvolution", "text", "", "naive, split or combine"),
    Column("stack", "text", "", "that it is fused in"),
    Column("groups", "int"),
    Column("count", "int", "", "how often it runs; the other numbers are for one"),
    Column("macs", "int", "MAC"),
    Column("latency_cycles", "float", "cycles"),
    Column("compute_cycles", "int", "cycles"),
    Column("traffic_bytes", "float", "bytes"),
    Column("energy_pj", "float", "pJ"),
    Column("ifmap_words", "int", "words"),
    Column("weights_words", "int", "words"),
    Column("ofmap_write_words", "int", "words"),
    Column("ofmap_read_words", "int", "words"),
    Column("drain_read_words", "int", "words"),
    Column("tile_out_channels", "int", "elements"),
    Column("tile_in_channels", "int", "elements"),
    Column("tile_batch", "int", "elements"),
    Column("tile_spatial", "ints", "elements"),
    Column("rounds", "int", "", "of shared ifmap tiles"),
    Column("stationary", "text"),
    Column("sliding_axis", "int"),
    Column("streamed", "text", "", "the tensor of which a sub-tile is held, and the sub-tile"),
    Column("ifmap_buffer_bytes", "float", "bytes"),
    Column("ofmap_buffer_bytes", "float", "bytes"),
    Column("weights_buffer_bytes", "float", "bytes"),
    Column("latency_cycles_bound", "float", "cycles"),
    Column("traffic_bytes_bound", "float", "bytes"),
    Column("bound_scope", "text"),
    Column("gap", "float"),
    Column("latency_gap", "float"),
    Column("termination", "text"),
    Column("solution_status", "text"),
    Column("bytes_needed", "float", "bytes", "of its smallest tile, if there is no mapping"),
    Column("error", "text"),
)
"""Columns of a layer's part, behind the point's number."""

SECONDS = (
    Column("problem", "int"),
    Column("name", "text", "", "of the layer that poses it first"),
    Column("seconds", "float", "s"),
    Column("failed", "bool"),
)
"""Columns of what each distinct problem took."""


def check_arrow() -> None:
    """Raise InputError, which says what to install, if pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise InputError("sweep", "", f"needs pyarrow: pip install '{PROJECT}[sweep]'")


def arrow() -> Any:
    """The package pyarrow; raises InputError as ``check_arrow`` does."""
    check_arrow()
    import pyarrow
    import pyarrow.parquet

    return pyarrow


def schema(columns: Sequence[Column], about: Mapping[str, str]) -> pa.Schema:
    """Columns as a schema; units and meanings are metadata of its fields.

    Args:
        columns: in order.
        about: metadata of the whole.
    """
    pa = arrow()
    kinds = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "text": pa.string(),
        "ints": pa.list_(pa.int64()),
    }
    fields = []
    for column in columns:
        told = {"unit": column.unit, "meaning": column.meaning}
        more = {name: text for name, text in told.items() if text}
        fields.append(pa.field(column.name, kinds[column.kind], metadata=more or None))
    return pa.schema(fields, metadata=dict(about))


class Sheet:
    """A Parquet file that is being written."""

    def __init__(self, writer: Any, form: pa.Schema) -> None:
        self._writer, self._form = writer, form
        self._nulls, self._values = dict.fromkeys(form.names), itemgetter(*form.names)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows; a column that a row does not have is null."""
        for row in rows:
            self._rows.append(self._values({**self._nulls, **row}))
            if len(self._rows) == ROWS_AT_ONCE:
                self.finish()

    def finish(self) -> None:
        """Write what is left."""
        if not self._rows:
            return
        pa = arrow()
        columns = zip(self._form, zip(*self._rows, strict=True), strict=True)
        arrays = [pa.array(values, field.type) for field, values in columns]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._form), row_group_size=ROWS_AT_ONCE)
        self._rows.clear()


@contextmanager
def written(folder: Path, forms: Mapping[str, pa.Schema]) -> Iterator[dict[str, Sheet]]:
    """Parquet files in a folder, by name; they take the place of old ones when all are whole.

    Raises:
        InputError: if one cannot be written; the old ones are then as they were.
    """
    parquet = arrow().parquet
    beside = {name: folder / f".{name}.tmp" for name in forms}
    try:
        with ExitStack() as stack:
            tables = {}
            for name, form in forms.items():
                writer = parquet.ParquetWriter(beside[name], form, compression="zstd")
                tables[name] = Sheet(stack.enter_context(writer), form)
            yield tables
            for table in tables.values():
                table.finish()
        for name, path in beside.items():
            os.replace(path, folder / name)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        problem = f"cannot be written: {reason}; the answers are kept"
        raise InputError(folder, "", problem) from None
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)
