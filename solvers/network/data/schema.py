"""The JSON Schema of a result."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from dnns import __version__
from solvers.network.data.fields import LayersResult
from solvers.network.data.network_fields import NetworkResult


class _Untitled(GenerateJsonSchema):
    """Fields have their names, and need no titles."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def result_schema() -> dict[str, Any]:
    """What ``--outfile`` writes, of a network layer by layer or as one problem (JSON Schema 2020-12)."""
    adapter: TypeAdapter[Any] = TypeAdapter(LayersResult | NetworkResult)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Result of solvers.run, version {__version__}",
        **adapter.json_schema(schema_generator=_Untitled, mode="serialization"),
    }
