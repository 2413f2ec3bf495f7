"""Argo and MinIO for the tests of this folder."""

from collections.abc import Iterator

import pytest

from lab.layout import Lab
from steps.lib.targets.kubernetes.api import Api
from tests.lab.labs import run
from tests.lab.on_argo.argo import Argo


@pytest.fixture(scope="package")
def argo(lab: Lab, api: Api) -> Iterator[Argo]:
    """Argo and MinIO beside the target, both ready.

    They go with these tests: others bring up labs of their own, and there is room for two.
    """
    was_up = len(lab.wanted()) > 1
    run(lab, "up")
    yield Argo(lab)
    if not was_up:
        run(lab, "down", "--only", "mgmt")
