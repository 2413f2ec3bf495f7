"""A small catalog of its own, for tests that break it."""

import textwrap
from pathlib import Path

import pytest

from steps.lib.catalog import Catalog, Job, load_job
from steps.lib.errors import InputError
from steps.lib.plan import make_plan

PLUGIN, CHILD = "plugins/plain.yaml", "plugins/derived.yaml"
PROFILE, MATRIX, CAMPAIGN = "profiles/tuned.yaml", "matrices/small.yaml", "campaign.yaml"

FINE = {
    "plugins/plain.yaml": """\
        name: plain
        title: Plain
        description: No pod network.
        source: {name: linux, version: any}
        targets: [namespaces]
        install: {mechanism: host-network}
        paths:
          cross-node:
            carries: ["client:eth0"]
          host-to-host: {carries: ["client:eth0"]}
        unsupported:
          in-pod: no pods
          same-node: no pods
          external-service: no pods
        """,
    "plugins/derived.yaml": """\
        extends: plain
        name: derived
        title: Derived
        """,
    "profiles/untuned.yaml": """\
        name: untuned
        title: Untuned
        description: Nothing.
        entries:
          - {name: net.core.rmem_max, value: "1", scope: node}
        """,
    "profiles/tuned.yaml": """\
        extends: untuned
        name: tuned
        entries:
          - {name: net.core.wmem_max, value: "1", scope: node}
        """,
    "matrices/small.yaml": """\
        name: small
        title: Small
        description: Two cells.
        paths: [cross-node]
        traffic:
          - id: tcp
            kind: tcp-stream
            message_bytes: 1000
            congestion_control: cubic
            duration_s: 1
            omit_s: 0
          - id: udp
            kind: udp-stream
            message_bytes: 1000
            rate_bits_per_s: 1000000
            duration_s: 1
            omit_s: 0
        """,
    "campaign.yaml": """\
        name: fine
        title: Fine
        target: {kind: namespaces}
        plugins: [plain, derived]
        profiles: [untuned, tuned]
        matrix: small
        repeats: 2
        seed: 1
        """,
}
"""A catalog without a mistake."""


def make_catalog(folder: Path) -> Path:
    """Write the catalog and its campaign."""
    for name, text in FINE.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def change(path: Path, old: str, new: str) -> None:
    """Replace what stands in a file, once."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def loaded(folder: Path) -> Job:
    """The campaign with its catalog entries, if it can be planned."""
    job = load_job(folder / CAMPAIGN, Catalog(folder))
    make_plan(job)
    return job


def complaint(folder: Path) -> str:
    """What is said about the catalog and its campaign."""
    with pytest.raises(InputError) as raised:
        loaded(folder)
    return str(raised.value).replace(f"{folder}/", "")
