"""YAML and CSV as text, the same for the same data."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

import yaml


class Tagged(dict[str, Any]):
    """A mapping that stands behind a tag, such as ``!Component``."""

    def __init__(self, tag: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.tag = tag


class Inline(list[Any]):
    """A list on one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(Tagged, lambda dumper, data: dumper.represent_mapping(data.tag, data))
_Dumper.add_representer(
    Inline, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)


def yaml_text(data: object, comment: str = "") -> str:
    """Data as YAML, keys in the order in which they are, below a comment."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


def csv_text(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return stream.getvalue()
