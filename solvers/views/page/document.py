"""One HTML file with everything in it: data, style, program, charts; it asks no network for anything.

Its content security policy allows its own two scripts by their hashes and nothing else, so that names from
files stay text whatever is in them, and no request leaves the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module, resources
from importlib.util import find_spec
from typing import IO, Any

import yaml

from dnns import PROJECT, __version__
from dnns.errors import InputError
from dnns.layer import Network
from solvers.views.page.charts import result_charts
from solvers.views.page.exploration import comparison_data, curve_chart, pareto_chart, sweep_data
from solvers.views.page.graph import picture, picture_nodes
from solvers.views.page.layers import LAYER_COLUMNS, NETWORK_COLUMNS, layer_views
from solvers.views.page.totals import machine_line, method_line, total_rows

Data = Mapping[str, Any]

_NEEDS = {"jinja2": "jinja2", "vl_convert": "vl-convert-python"}
_PROGRAM = ("dom.js", "table.js", "graph.js", "layer.js", "charts.js", "sweep.js", "page.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows; whatever is not there is left out.

    Attributes:
        title: of the page.
        results: of runs, each with a name, as JSON has it, and the network that was run.
        comparisons: of methods, each as ``solvers.compare --json`` has one.
        curve: see ``solvers.views.page.exploration.curve_chart``.
        pareto: see ``pareto_chart`` there.
        sweep: see ``sweep_data`` there.
        scenarios: to run the same again, by the name of a file: with every field; of the first result if none
            is given.
        command: that runs them.
    """

    title: str
    results: Sequence[tuple[str, Data, Network]] = ()
    comparisons: Sequence[Data] = ()
    curve: Data | None = None
    pareto: Data | None = None
    sweep: Data | None = None
    scenarios: Mapping[str, Data] = field(default_factory=dict)
    command: str = "python -m solvers.run scenario.yaml"


def check_report() -> None:
    """Raise InputError, which says what to install, if a package that a page needs is missing."""
    missing = [name for module, name in _NEEDS.items() if find_spec(module) is None]
    if missing:
        problem = f"needs {' and '.join(missing)}: pip install '{PROJECT}[report]'"
        raise InputError("--report", "", problem)


def write_page(page: Page, stream: IO[str]) -> None:
    """Write a page as HTML; the same page, the same bytes.

    Raises:
        InputError: if a package is missing.
    """
    check_report()
    jinja = import_module("jinja2")
    environment = jinja.Environment(autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True)
    charting = import_module("vl_convert")
    library = _inline(charting.javascript_bundle())
    program = _inline("\n".join(_asset(name) for name in _PROGRAM))
    scripts = [{"text": script, "hash": _hash(script)} for script in (library, program)]
    html = environment.from_string(_asset("page.html")).render(
        title=page.title,
        style=_asset("page.css"),
        scripts=scripts,
        data=_embedded(page_data(page)),
        made_by=f"{PROJECT} {__version__}",
        versions={
            "Vega": charting.get_vega_version(),
            "Vega-Lite": charting.get_vegalite_versions()[-1],
            "Vega-Embed": charting.get_vega_embed_version(),
        },
        licences=_asset("licences.txt"),
    )
    stream.write(html)
    stream.write("\n")


def page_data(page: Page) -> dict[str, Any]:
    """Everything that the page's program shows, as plain data."""
    scenarios = page.scenarios
    if not scenarios and page.results:
        scenarios = {"scenario.yaml": page.results[0][1]["scenario"]}
    charts = [make(data) for make, data in ((curve_chart, page.curve), (pareto_chart, page.pareto)) if data]
    return {
        "results": [_result(name, result, network) for name, result, network in page.results],
        "comparisons": [comparison_data(comparison) for comparison in page.comparisons],
        "charts": charts,
        "sweep": sweep_data(page.sweep) if page.sweep else None,
        "scenarios": [[name, _yaml(scenario)] for name, scenario in scenarios.items()],
        "command": page.command,
    }


def _result(name: str, result: Data, network: Network) -> dict[str, Any]:
    """One run: its head, totals, layers, graph and charts."""
    one_problem, nodes = "stacks" in result, picture_nodes(network, result["layers"])
    return {
        "name": name,
        "network": result["network"],
        "machine": machine_line(result),
        "method": method_line(result),
        "complete": result["complete"],
        "totals": total_rows(result),
        "columns": [list(column) for column in (NETWORK_COLUMNS if one_problem else LAYER_COLUMNS)],
        "layers": layer_views(result),
        "buffer": result["hardware"]["bufsize"],
        "graph": picture(nodes, result["inputs"], result["layers"], result.get("tensors", ())),
        "charts": result_charts(result),
    }


def _yaml(scenario: Data) -> str:
    return yaml.safe_dump(dict(scenario), sort_keys=False, allow_unicode=True)


def _asset(name: str) -> str:
    return (resources.files("solvers.views.page") / "assets" / name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """A script as it may stand in a page: nothing in it ends the element, or begins a comment."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(script: str) -> str:
    """As a content security policy names a script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _embedded(data: Data) -> str:
    """JSON that no name in it can break out of: what HTML might take for its own is escaped."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
