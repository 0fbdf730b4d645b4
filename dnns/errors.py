"""The one error for bad input: a file, a place in it, what was got and what is allowed."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

_SHOWN = 60
_LONGEST = 1000


class InputError(ValueError):
    """Input that a user can mend. ``str()`` is one line: ``file:where: problem``.

    Args:
        file: the file at fault, or the name of an option when no file is involved.
        where: the place in it: a line number, a field's path or a node's name; "" for the whole.
        problem: what was got and what is allowed, without a full stop.
    """

    def __init__(self, file: str | Path, where: str | int, problem: str) -> None:
        self.file, self.where, self.problem = str(file), one_line(str(where)), one_line(problem)
        super().__init__(": ".join(p for p in (one_line(self.file), self.where, self.problem) if p))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        """Errors cross process borders whole."""
        return InputError, (self.file, self.where, self.problem)


def one_line(text: str) -> str:
    """One printable line of bounded length: the text may quote anything that stood in a file."""
    text = "".join(c if c.isprintable() else " " for c in text[: 2 * _LONGEST])
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def unknown(key: object, known: list[str], kind: str = "field") -> str:
    """The sentence for a name that is not among the known ones, with the nearest or all of them."""
    near = get_close_matches(str(key)[:_SHOWN], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known) or 'none'}"
    return f"unknown {kind} {shown(key)}, {hint}"


def shown(value: object) -> str:
    """``repr`` of a value, cut to a line's size."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
