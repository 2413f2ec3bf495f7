"""What the tests share that need a real cluster: they run only when asked for by name."""

import os
from collections.abc import Iterator

import pytest

from lab.layout import Lab
from steps.lib.targets.kubernetes.api import Api, connect
from steps.lib.targets.kubernetes.nodes import linux
from tests.lab.clusters import Attached, attached, pod_network
from tests.lab.labs import TARGET, run


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab of the tests' own with a target cluster, whose nodes wait for a network plugin.

    Not the default one, in which somebody may be measuring. With ``CNIBENCH_LAB=<name>:<port>`` it
    is another; one that was up before stays up, and so does every one with ``CNIBENCH_LAB_KEEP=1``.
    """
    name, _, port = os.environ.get("CNIBENCH_LAB", "test:26443").partition(":")
    own = Lab(name, int(port))
    keep = bool(own.wanted()) or os.environ.get("CNIBENCH_LAB_KEEP") == "1"
    run(own, "up", "--only", "target")
    try:
        yield own
    finally:
        if not keep:
            run(own, "down")


@pytest.fixture(scope="session")
def api(lab: Lab) -> Iterator[Api]:
    """The API server of the lab's target, whose kubeconfig is now everybody's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(lab.kubeconfig))
        yield connect(lab.context(TARGET))


@pytest.fixture(scope="session")
def nodes(api: Api) -> list[str]:
    """Names of the target's nodes."""
    return [str(node.metadata.name) for node in linux(api)]


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Iterator[Attached]:
    """The lab's target with agents and a pod network of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(lab.kubeconfig))
        with attached(lab) as found, pod_network(found):
            yield found
