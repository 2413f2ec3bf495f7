"""What the tests share that need a real cluster: they run only when asked for by name."""

import os
from collections.abc import Iterator

import pytest

from lab.layout import Lab
from tests.lab.labs import run


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The default lab with its target cluster, whose nodes wait for a network plugin.

    Its ``kubeconfig`` has the context ``cnibench-lab``. One that was up before stays up, and so
    does every one with ``CNIBENCH_LAB_KEEP=1``.
    """
    own = Lab()
    keep = bool(own.wanted()) or os.environ.get("CNIBENCH_LAB_KEEP") == "1"
    run(own, "up", "--only", "target")
    try:
        yield own
    finally:
        if not keep:
            run(own, "down")
