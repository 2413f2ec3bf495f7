"""The Argo manifests as text: what GitOps applies. Committed, and compared with the code.

``python -m workflows.render`` writes them, ``--check`` only compares.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from steps.lib import generated
from workflows.access import access
from workflows.block import block_template
from workflows.campaign import campaign_template, plugin_template
from workflows.catalog_map import config_maps
from workflows.triggers import nightly, request_binding

RENDERED = Path(__file__).parent / "rendered"
COMMAND = "python -m workflows.render"


def render_all() -> dict[str, str]:
    """Every manifest by file name. The same code gives the same text."""
    manifests = {
        "access.yaml": _text("workflows/access.py", access()),
        "block.yaml": _text("workflows/block.py", [block_template()]),
        "campaign.yaml": _text("workflows/campaign.py", [campaign_template()]),
        "catalog.yaml": _text("workflows/catalog", config_maps()),
        "nightly.yaml": _text("workflows/triggers.py", [nightly()]),
        "plugin.yaml": _text("workflows/campaign.py", [plugin_template()]),
        "request.yaml": _text("workflows/triggers.py", [request_binding()]),
    }
    base = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(manifests),
    }
    return manifests | {"kustomization.yaml": _text("workflows/render.py", [base])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifests, or compare them; the exit status."""
    return generated.main(render_all(), RENDERED, COMMAND, arguments)


def _text(source: str, documents: Sequence[Any]) -> str:
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump_all([_readable(d) for d in documents], stream)
    return f"# Generated from {source} by `{COMMAND}`; do not edit.\n{stream.getvalue()}"


def _readable(value: Any) -> Any:
    """A copy for people: names first, then what is short; long texts as blocks.

    It shares no parts, since YAML would write those as references.
    """
    if isinstance(value, Mapping):
        return {key: _readable(inner) for key, inner in sorted(value.items(), key=_rank)}
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    return value


def _rank(entry: tuple[str, Any]) -> int:
    key, value = entry
    if key == "name":
        return 0
    return 2 if isinstance(value, Mapping) else 3 if isinstance(value, list) else 1


if __name__ == "__main__":
    raise SystemExit(main())
