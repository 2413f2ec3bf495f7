"""Who may speak to the store and to Argo: random secrets, below ``/run`` and in no other file."""

import json
import secrets
from pathlib import Path

from lab.layout import ARGO, STORE, Cluster, Lab

ADMINISTRATOR = "administrator"
RESULTS = "cnibench"
ARTIFACTS = "argo"
"""Users of the store. The two latter are also the names of the buckets that they may use."""

SECRET_BYTES = 20
REGION = "us-east-1"


def of_store(lab: Lab, cluster: Cluster) -> dict[str, str]:
    """The secret of each user of the store, made when it is first asked for."""
    file = lab.folder(cluster) / "store.json"
    if not file.exists():
        users = (ADMINISTRATOR, RESULTS, ARTIFACTS)
        _write(file, json.dumps({user: secrets.token_hex(SECRET_BYTES) for user in users}))
    found: dict[str, str] = json.loads(file.read_text())
    return found


def store_environment(lab: Lab, cluster: Cluster, endpoint: str) -> dict[str, str]:
    """Variables by which cnibench finds the store of results."""
    return {
        "CNIBENCH_S3_ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": RESULTS,
        "AWS_SECRET_ACCESS_KEY": of_store(lab, cluster)[RESULTS],
        "AWS_REGION": REGION,
    }


def environment_file(lab: Lab, cluster: Cluster) -> Path:
    """What a shell reads to reach both from this machine."""
    return lab.folder(cluster) / "environment.sh"


def write_environment(lab: Lab, cluster: Cluster, token: str) -> None:
    """Write that file.

    Args:
        lab: The lab.
        cluster: The one that has Argo and the store.
        token: Of a service account, for Argo's server.
    """
    variables = store_environment(lab, cluster, lab.url_of(STORE)) | {
        "ARGO_SERVER": lab.url_of(ARGO).removeprefix("http://"),
        "ARGO_SECURE": "false",
        "ARGO_NAMESPACE": "argo",
        "ARGO_TOKEN": f"Bearer {token}",
    }
    lines = [f"export {name}='{value}'\n" for name, value in variables.items()]
    _write(environment_file(lab, cluster), "".join(lines))


def _write(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.rename(file)
