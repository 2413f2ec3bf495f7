"""What runs on the management cluster beside Kubernetes: Argo Workflows, and MinIO as the store."""

import json
import shutil
from pathlib import Path
from string import Template

import yaml

from lab import api, certificates, credentials, doors, processes, programs, store
from lab.layout import ARGO, DATA, STORE, STORE_FOLDER, Cluster, Door, Lab, select
from lab.progress import say
from steps.lib import tools
from steps.lib.errors import TransientError

TIMEOUT_S = 180.0
"""For Argo and the store to be available; their images are there already."""

KNOWN_TIMEOUT_S = 60.0
"""For the API server to tell clients of Argo's kinds."""

UNKNOWN_KIND = "ensure CRDs are installed first"
"""What kubectl says of a kind that the API server does not tell of."""

NAMESPACE = "argo"
TOKEN = "person-token"
TARGET = "lab"
"""What the catalog calls the target of a lab, of whatever name that lab is."""

MANIFESTS = DATA / "management"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MARK = "cnibench/manifests"
"""Annotation that says which of Argo's manifests a definition came from."""

OVERLAY = tools.REPOSITORY / "workflows/overlays/lab"


def apply(lab: Lab, cluster: Cluster) -> None:
    """Apply what makes Argo and the store; what is as it should be stays.

    Raises:
        TransientError: the API server does not take it.
    """
    values = _values(lab, cluster)
    spaces, minio = (_filled(MANIFESTS / f"{n}.yaml", values) for n in ("namespaces", "minio"))
    api.apply(lab, cluster, "\n---\n".join([spaces, *_secrets(lab, cluster), minio]))
    _apply_argo(lab, cluster, values)
    doors.open_all(lab, cluster)


def finish(lab: Lab, cluster: Cluster) -> None:
    """Wait until both serve, and make what is in them.

    Raises:
        TransientError: something does not come up in time.
    """
    for door in cluster.doors:
        _wait_for_door(lab, cluster, door)
    store.prepare(lab, cluster)
    _apply_templates(lab, cluster)
    credentials.write_environment(lab, cluster, _wait_for_token(lab, cluster))
    say(f"{cluster.name}: Argo at {lab.url_of(ARGO)}, store at {lab.url_of(STORE)}")


def complaint(lab: Lab, cluster: Cluster, door: Door) -> str | None:
    """Why what is behind a door does not serve, or None."""
    found = (api.deployment_complaint(lab, cluster, *d.split("/")) for d in door.deployments)
    return next((text for text in found if text), None)


def link_target(lab: Lab) -> None:
    """Show workflows the way to the target, when both clusters are up: a Secret.

    Raises:
        TransientError: the management cluster does not take it.
    """
    (target,), (cluster,) = select("target"), select("mgmt")
    if target not in lab.wanted() or cluster not in lab.wanted():
        return
    if api.complaint(lab, cluster) is None:
        kubeconfig = certificates.kubeconfig_inside(lab, target, f"cnibench-{TARGET}")
        text = _secret(NAMESPACE, f"target-{TARGET}", {"kubeconfig": kubeconfig})
        api.apply(lab, cluster, text)


def _apply_templates(lab: Lab, cluster: Cluster) -> None:
    """Apply the pipeline's templates, with the step image that this clone made."""
    name, _, tag = programs.image("docker.io/cnibench/step").rpartition(":")
    # In a copy, since what kustomize knows of images of templates is the overlay's own.
    folder = _fresh(lab.folder(cluster) / "workflows")
    shutil.copytree(OVERLAY.parents[1], folder, dirs_exist_ok=True)
    overlay = folder / OVERLAY.relative_to(OVERLAY.parents[1])
    document = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    image = {"name": "cnibench-step", "newName": name, "newTag": tag}
    others = [each for each in document.get("images", []) if each["name"] != image["name"]]
    text = yaml.safe_dump(document | {"images": [*others, image]})
    (overlay / "kustomization.yaml").write_text(text)
    _apply_known(lab, cluster, api.kustomize(overlay))
    say(f"{cluster.name}: templates applied, with {name}:{tag}")


def _apply_known(lab: Lab, cluster: Cluster, templates: str) -> None:
    """Apply templates as soon as the API server tells clients of their kinds, which kubectl asks.

    It serves those before, as the controller shows that runs by now: on a busy machine templates
    were refused as of no kind that there is.
    """

    def unknown() -> str | None:
        try:
            api.apply(lab, cluster, templates, namespace=NAMESPACE)
        except TransientError as error:
            if UNKNOWN_KIND in str(error):
                return str(error)
            raise
        return None

    pieces = (f"{cluster.name}-apiserver",)
    processes.wait_until(lab, pieces, unknown, "templates applied", KNOWN_TIMEOUT_S)


def _apply_argo(lab: Lab, cluster: Cluster, values: dict[str, str]) -> None:
    """Definitions first: a controller that does not find them ends.

    They are as large as all else together is small, so those that are there are left alone.
    """
    argo = programs.argo_manifests()
    files = (argo / "manifests/base/crds/full").glob("argoproj.io_*.yaml")
    wanted = {file.stem.removeprefix("argoproj.io_") + ".argoproj.io" for file in files}
    present = api.annotations(lab, cluster, DEFINITIONS)
    if any(present.get(name, {}).get(MARK) != argo.name for name in wanted):
        api.apply(lab, cluster, (argo / "definitions.yaml").read_text())
    folder = _fresh(lab.folder(cluster) / "argo")
    # Kustomize takes no absolute paths.
    (folder / "manifests").symlink_to(argo / "manifests")
    for file in (MANIFESTS / "argo").iterdir():
        (folder / file.name).write_text(_filled(file, values))
    api.apply(lab, cluster, api.kustomize(folder))


def _values(lab: Lab, cluster: Cluster) -> dict[str, str]:
    """What the placeholders in the manifests stand for."""
    return {
        "argo_version": programs.image("quay.io/argoproj/workflow-controller").rpartition(":")[2],
        "argo_address": cluster.address_of(ARGO),
        "argo_url": lab.url_of(ARGO),
        "minio_image": programs.image("quay.io/minio/minio"),
        "store_address": cluster.address_of(STORE),
        "store_folder": f"/{STORE_FOLDER}",
    }


def _secrets(lab: Lab, cluster: Cluster) -> list[str]:
    found = credentials.of_store(lab, cluster)
    root = {
        "MINIO_ROOT_USER": credentials.ADMINISTRATOR,
        "MINIO_ROOT_PASSWORD": found[credentials.ADMINISTRATOR],
    }
    artifacts = {"accesskey": credentials.ARTIFACTS, "secretkey": found[credentials.ARTIFACTS]}
    endpoint = f"http://minio.minio:{STORE.service_port}"
    results = credentials.store_environment(lab, cluster, endpoint)
    return [
        _secret("minio", "minio-root", root),
        _secret(NAMESPACE, "argo-artifacts", artifacts),
        _secret(NAMESPACE, "cnibench-store", results),
    ]


def _secret(namespace: str, name: str, entries: dict[str, str]) -> str:
    """A Secret, as JSON, which is YAML too."""
    metadata = {"namespace": namespace, "name": name}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": entries}
    return json.dumps(body)


def _filled(file: Path, values: dict[str, str]) -> str:
    return Template(file.read_text()).substitute(values)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _wait_for_door(lab: Lab, cluster: Cluster, door: Door) -> None:
    pieces = (cluster.piece_of(door), *(host.name for host in cluster.nodes))
    what = f"{cluster.name}: {' and '.join(door.deployments)} available"
    processes.wait_until(lab, pieces, lambda: complaint(lab, cluster, door), what, TIMEOUT_S)


def _wait_for_token(lab: Lab, cluster: Cluster) -> str:
    """What the cluster's controllers write into a Secret soon after it was made."""

    def absent() -> str | None:
        found = api.secret(lab, cluster, NAMESPACE, TOKEN)
        return None if "token" in found else f"Secret {NAMESPACE}/{TOKEN} has no token yet"

    pieces = (f"{cluster.name}-controllers", f"{cluster.name}-apiserver")
    processes.wait_until(lab, pieces, absent, "a token for Argo's server", TIMEOUT_S)
    return api.secret(lab, cluster, NAMESPACE, TOKEN)["token"]
