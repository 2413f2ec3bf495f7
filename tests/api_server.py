"""An API server in memory, for what a real one cannot be made to do in a test: lose an answer.

It speaks as much of the protocol as is asked of it; what a real one says is seen in ``tests/lab``.
Use it by ``pytest_plugins = ["tests.api_server"]``; import its names for the type checker only.
"""

import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

Document = dict[str, Any]

LISTS = ("/api/v1/nodes", "/apis/apps/v1/daemonsets")

VERSION = ("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler")
SYSTEM = (
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "osImage",
    "systemUUID",
)


class ApiServer(ThreadingHTTPServer):
    """Objects by path; ``losing`` are methods whose next request is done, but not answered."""

    context = "in-memory"
    service_ranges = "/apis/networking.k8s.io/v1/servicecidrs/kubernetes"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        version = dict.fromkeys((*VERSION, "platform"), "") | {"major": "1", "minor": "36"}
        ranges = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}}
        self.objects: dict[str, Document] = {"/version/": version, self.service_ranges: ranges}
        self.losing: list[str] = []
        self._version = 0

    @property
    def kubeconfig(self) -> Document:
        """A file with one context, that of this server."""
        entry, name = {"name": self.context}, self.context
        cluster = {"server": f"http://127.0.0.1:{self.server_port}"}
        return {
            "clusters": [entry | {"cluster": cluster}],
            "users": [entry | {"user": {}}],
            "contexts": [entry | {"context": {"cluster": name, "user": name}}],
        }

    def add_node(self, name: str, ready: str | None) -> None:
        """A node that says of its being ready True or False, is Unknown, or has said nothing."""
        condition = {"type": "Ready", "status": ready, "message": "as the kubelet says"}
        info = dict.fromkeys(SYSTEM, "") | {"operatingSystem": "linux"}
        node = {
            "metadata": {"name": name},
            "spec": {"podCIDR": "10.244.0.0/24"} if ready else {},
            "status": {"nodeInfo": info, "conditions": [condition] if ready else []},
        }
        self.carry_out("POST", "/api/v1/nodes", node)

    def carry_out(self, method: str, path: str, body: Document) -> tuple[int, Document]:
        """Status and document of the answer."""
        if path.endswith("reviews"):
            return http.client.CREATED, body | {"status": {"allowed": True}}
        if method == "GET" and path in LISTS:
            items = [found for name, found in self.objects.items() if name.startswith(f"{path}/")]
            return http.client.OK, {"items": items}
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return _refusal(http.client.CONFLICT, "already exists")
            return http.client.CREATED, self._keep(path, body)
        present = self.objects.get(path)
        if present is None:
            return _refusal(http.client.NOT_FOUND, "not found")
        if method == "PUT":
            version = body["metadata"].get("resourceVersion")
            if version not in (None, present["metadata"]["resourceVersion"]):
                return _refusal(http.client.CONFLICT, "the object has been modified")
            return http.client.OK, self._keep(path, body)
        return http.client.OK, self.objects.pop(path) if method == "DELETE" else present

    def _keep(self, path: str, document: Document) -> Document:
        self._version += 1
        metadata = document["metadata"] | {"resourceVersion": str(self._version)}
        self.objects[path] = document | {"metadata": metadata}
        return self.objects[path]


def _refusal(status: int, message: str) -> tuple[int, Document]:
    return status, {"kind": "Status", "code": status, "message": message}


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "{}")
        status, document = self.server.carry_out(self.command, urlsplit(self.path).path, body)
        if self.command in self.server.losing:
            self.server.losing.remove(self.command)
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815


@pytest.fixture
def api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A server without an object, which KUBECONFIG names."""
    with ApiServer() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(server.kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(file))
        yield server
        server.shutdown()
