"""The catalog as ConfigMaps: a new plugin is a file and a rendered manifest, and no new image."""

from typing import Any

from steps.lib.catalog import CATALOG, LOCK
from workflows.labels import LABELS

FOLDER = "/run/cnibench/catalog"
FOLDERS = ("matrices", "plugins", "profiles", "targets")
LOCK_MAP = "cnibench-catalog-lock"


def config_maps() -> list[dict[str, Any]]:
    """One map for each folder, and one for the lock file of sources."""
    lock = {LOCK: (CATALOG / LOCK).read_text(encoding="utf-8")}
    return [*(_map(_name(folder), _files(folder)) for folder in FOLDERS), _map(LOCK_MAP, lock)]


def mount(document: dict[str, Any]) -> dict[str, Any]:
    """Give the stages of a template the catalog."""
    names = [*(_name(folder) for folder in FOLDERS), LOCK_MAP]
    document["spec"]["volumes"] += [{"name": n, "configMap": {"name": n}} for n in names]
    for script in (t["script"] for t in document["spec"]["templates"] if "script" in t):
        script["env"].append({"name": "CNIBENCH_CATALOG", "value": FOLDER})
        script["volumeMounts"] += [
            *({"name": _name(f), "mountPath": f"{FOLDER}/{f}", "readOnly": True} for f in FOLDERS),
            {
                "name": LOCK_MAP,
                "mountPath": f"{FOLDER}/{LOCK}",
                "subPath": LOCK,
                "readOnly": True,
            },
        ]
    return document


def _name(folder: str) -> str:
    return f"cnibench-catalog-{folder}"


def _files(folder: str) -> dict[str, str]:
    files = sorted((CATALOG / folder).glob("*.yaml"))
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def _map(name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "labels": LABELS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
