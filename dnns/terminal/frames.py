"""Rows as a pandas data frame, for those who have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dnns import PROJECT
from dnns.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def data_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """A frame of rows; raises InputError, which says what to install, if pandas is missing."""
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise InputError("to_frame", "", f"needs pandas: pip install '{PROJECT}[pandas]'") from None
    return pd.DataFrame(list(rows))
