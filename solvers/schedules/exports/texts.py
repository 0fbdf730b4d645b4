"""YAML and CSV as text, the same for the same data."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

import yaml

INNER_STEPS = "its tiles run in inner steps of sub-tiles"
"""Why most tools have no such mapping."""


class Tagged(dict[str, Any]):
    """A mapping that stands behind a tag, such as ``!Component``, on one line or not."""

    def __init__(self, tag: str, fields: dict[str, Any], *, inline: bool = False) -> None:
        super().__init__(fields)
        self.tag, self.inline = tag, inline


class Inline(list[Any]):
    """A list on one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    Tagged, lambda dumper, data: dumper.represent_mapping(data.tag, data, flow_style=data.inline)
)
_Dumper.add_representer(
    Inline, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)


def yaml_text(data: object) -> str:
    """Data as YAML, keys in the order in which they are."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
    return text


def csv_text(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return stream.getvalue()
