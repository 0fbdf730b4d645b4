"""YAML files as plain data, with the line of every field: the one YAML parser of the project.

Scalars follow the YAML 1.2 core rules (``1e-3`` is a number, ``no`` is a string), tags are refused, keys are
strings, duplicate keys are errors. A hostile file costs no more than an honest one: nesting, the length of
numbers, the size of the file and what its aliases expand to are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dnns.errors import InputError
from dnns.files import read_text

Key = str | int
FieldPath = tuple[Key, ...]
Locate = Callable[[FieldPath], int]

MAX_DEPTH = 64
MAX_VALUES = 200_000
MAX_DIGITS = 40

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]+\Z")
_RADIX = re.compile(r"0(?:x[0-9a-fA-F]+|o[0-7]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(slots=True)
class _Node:
    """A value with the line it starts on, its parts, and how many values it expands to."""

    value: object
    line: int
    parts: dict[Key, _Node] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    size: int = 1


def load_yaml(path: str | Path) -> tuple[object, Locate]:
    """Read one YAML document.

    Returns:
        The document as dicts with string keys, lists, strings, ints, floats, bools and None; and a function
        that gives the line of a field, ``locate(("layers", 3, "kernel"))``. For a field that is not there
        it gives the line of the closest part of the path that is.

    Raises:
        InputError: if the file cannot be read or is not such a document; it names the line.
    """
    root = _document(read_text(path), path)
    return root.value, lambda field_path: _line(root, field_path)


def yaml_value(text: str, file: str) -> object:
    """The value that a text is as YAML; raises InputError, which names ``file``."""
    return _document(text, file).value


def _document(text: str, path: str | Path) -> _Node:
    events = yaml.parse(text, Loader=_LOADER)
    try:
        return _Builder(path, events).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else ""
        problem = error.problem or error.context
        if "nesting depth" in str(problem):  # the parser has a limit of its own, far above ours
            raise InputError(path, where, f"nested deeper than {MAX_DEPTH} levels") from None
        raise InputError(path, where, f"is not YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise InputError(path, "", f"is not YAML: {error}") from None


def _first_line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _line(node: _Node, path: FieldPath) -> int:
    line = node.line
    for key in path:
        if key not in node.parts:
            break
        line, node = node.lines[key], node.parts[key]
    return line


class _Builder:
    """Builds nodes from parser events; anchored nodes are shared, never copied."""

    def __init__(self, path: str | Path, events: Iterator[Any]) -> None:
        self.path, self.events = path, events
        self.anchors: dict[str, _Node | None] = {}

    def fail(self, line: int, problem: str) -> InputError:
        return InputError(self.path, f"line {line}", problem)

    def document(self) -> _Node:
        """The only document of the stream; an empty stream is None."""
        next(self.events)
        if not isinstance(next(self.events), yaml.DocumentStartEvent):
            return _Node(None, 1)
        root = self.node(next(self.events), 0)
        next(self.events)
        extra = next(self.events)
        if isinstance(extra, yaml.DocumentStartEvent):
            raise self.fail(_first_line(extra), "a second document starts, one is allowed")
        return root

    def node(self, event: Any, depth: int) -> _Node:
        line = _first_line(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), line)
        if event.tag not in (None, "!") or (event.tag == "!" and not isinstance(event, yaml.ScalarEvent)):
            raise self.fail(line, f"tag {event.tag!r}: tags are not allowed")
        if depth > MAX_DEPTH:
            raise self.fail(line, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor:
            self.anchors[event.anchor] = None
        node = self.content(event, line, depth)
        if node.size > MAX_VALUES:
            raise self.fail(line, f"holds more than {MAX_VALUES} values, aliases expanded")
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def alias(self, name: str, line: int) -> _Node:
        if name not in self.anchors:
            raise self.fail(line, f"alias *{name} has no anchor &{name} before it")
        target = self.anchors[name]
        if target is None:
            raise self.fail(line, f"alias *{name} stands inside its own anchor")
        return target

    def content(self, event: Any, line: int, depth: int) -> _Node:
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(line, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(line, depth)
        plain = event.implicit[0] and event.tag is None
        return _Node(self.scalar(event.value, line) if plain else event.value, line)

    def sequence(self, line: int, depth: int) -> _Node:
        values: list[object] = []
        node = _Node(values, line)
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            self.add(node, len(values), self.node(event, depth + 1), _first_line(event))
            values.append(node.parts[len(values)].value)
        return node

    def mapping(self, line: int, depth: int) -> _Node:
        values: dict[str, object] = {}
        node = _Node(values, line)
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            at = _first_line(event)
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            if key is None or event.tag not in (None, "!"):
                raise self.fail(at, "a key must be a plain word")
            if key in values:
                raise self.fail(at, f"duplicate key {key!r}, first on line {node.lines[key]}")
            self.add(node, key, self.node(next(self.events), depth + 1), at)
            values[key] = node.parts[key].value
        return node

    @staticmethod
    def add(node: _Node, key: Key, part: _Node, line: int) -> None:
        node.parts[key], node.lines[key] = part, line
        node.size += part.size

    def scalar(self, text: str, line: int) -> object:
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text) or _RADIX.match(text):
            if len(text) > MAX_DIGITS:
                raise self.fail(line, f"a number of {len(text)} digits, at most {MAX_DIGITS} are allowed")
            return int(text, 0) if _RADIX.match(text) else int(text)
        return float(text) if _FLOAT.match(text) else text
