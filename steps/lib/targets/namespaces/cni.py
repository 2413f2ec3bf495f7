"""Calling CNI plugins as a container runtime does, by the CNI specification 1.1.

https://github.com/containernetworking/cni/blob/v1.3.0/SPEC.md, sections 2 to 4. Nothing is kept in
``/var/lib/cni``: what a later DEL needs lies in the attachment's own file.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue

from steps.lib.errors import CnibenchError, InputError, RefusedError, TransientError
from steps.lib.models import AddressFamily, Model, family_of
from steps.lib.targets.namespaces import netns
from steps.lib.targets.namespaces.programs import ENVIRONMENT, run

CALL_TIMEOUT_S = 30.0
TRY_AGAIN_LATER = 11
"""The one error code of the specification that says so (section 5)."""

LOOPBACK: dict[str, JsonValue] = {
    "cniVersion": "1.0.0",
    "name": "loopback",
    "plugins": [{"type": "loopback"}],
}
"""Every runtime brings a pod's ``lo`` up before its network."""

NO_VERSION = "unknown"


class Attachment(Model):
    """One network namespace, attached or about to be, to one network by one device."""

    container_id: str
    node_namespace: str
    namespace: str
    device: str
    conflist: dict[str, JsonValue]
    runtime_config: dict[str, JsonValue] = Field(default={})
    result: dict[str, JsonValue] | None = None

    @property
    def plugins(self) -> list[dict[str, JsonValue]]:
        """Configurations of the chain, in order."""
        plugins: Any = self.conflist["plugins"]
        return list(plugins)

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self.conflist["name"])

    def address(self, family: AddressFamily) -> str:
        """The first address of a family that ADD gave, without its prefix length.

        Raises:
            RefusedError: it gave none.
        """
        given: Any = (self.result or {}).get("ips") or []
        addresses = (str(each["address"]).partition("/")[0] for each in given)
        found = next((a for a in addresses if family_of(a) == family), None)
        if found is None:
            raise RefusedError(f"{self.name} gave {self.container_id} no address of {family}")
        return found


@dataclass(frozen=True)
class Runtime:
    """Calls the plugins in ``binaries``, each inside its node's network namespace."""

    binaries: Path

    def add(self, attachment: Attachment) -> Attachment:
        """Attach: every plugin in order, each one given the result of the one before.

        Raises:
            RefusedError: a plugin failed; its own code, message and details are in the text.
            TransientError: a plugin asks to be called again later.
        """
        result: dict[str, JsonValue] | None = None
        for plugin in attachment.plugins:
            result = self._call("ADD", attachment, plugin, result)
        return attachment.model_copy(update={"result": result})

    def check(self, attachment: Attachment) -> None:
        """Ask every plugin whether the attachment still is as its result says.

        Raises:
            RefusedError: it is not.
        """
        if not attachment.conflist.get("disableCheck"):
            for plugin in attachment.plugins:
                self._call("CHECK", attachment, plugin, attachment.result)

    def delete(self, attachment: Attachment) -> None:
        """Detach, in reverse order. Fine after an ADD that failed half-way or never came."""
        for plugin in reversed(attachment.plugins):
            self._call("DEL", attachment, plugin, attachment.result)

    def binary(self, kind: str) -> Path:
        """File of a plugin by its ``type``.

        Raises:
            InputError: there is none, so the catalog entry names one that is not installed.
        """
        file = self.binaries / kind
        if not re.fullmatch(r"[\w.-]+", kind) or not file.is_file():
            known = ", ".join(sorted(p.name for p in self.binaries.iterdir() if p.is_file()))
            raise InputError(
                f"there is no CNI plugin {kind!r} in {self.binaries}; there are {known}"
            )
        return file

    def supported_versions(self, kind: str) -> list[str]:
        """Versions of the specification that a plugin speaks (VERSION)."""
        request = json.dumps({"cniVersion": LOOPBACK["cniVersion"]}).encode()
        answer = self._run("VERSION", kind, request, {}, None)
        versions: Any = answer.get("supportedVersions", [])
        return [str(version) for version in versions]

    def build_version(self, kind: str) -> str:
        """Version that a plugin's program says it is; called without a command it tells."""
        result = run([str(self.binary(kind))], timeout_s=CALL_TIMEOUT_S)
        said = (result.stderr + result.stdout).decode("utf-8", "replace")
        match = re.search(r"\bplugin (?:version )?(v?\d[\w.+-]*)", said)
        return match[1] if match else NO_VERSION

    def _call(
        self,
        command: str,
        attachment: Attachment,
        plugin: dict[str, JsonValue],
        previous: dict[str, JsonValue] | None,
    ) -> dict[str, JsonValue]:
        environment = {
            "CNI_CONTAINERID": attachment.container_id,
            "CNI_NETNS": str(netns.path(attachment.namespace)),
            "CNI_IFNAME": attachment.device,
        }
        if command == "DEL" and not netns.is_whole(attachment.namespace):
            environment["CNI_NETNS"] = ""  # Section 2: DEL without it frees all but the device.
        request = json.dumps(_request(attachment, plugin, previous)).encode()
        namespace = attachment.node_namespace
        try:
            return self._run(command, str(plugin["type"]), request, environment, namespace)
        except CnibenchError as error:
            place = f"{command} of {attachment.name} in {namespace}"
            raise type(error)(f"{place}: {error}") from error

    def _run(
        self,
        command: str,
        kind: str,
        request: bytes,
        environment: dict[str, str],
        namespace: str | None,
    ) -> dict[str, JsonValue]:
        result = run(
            [str(self.binary(kind))],
            namespace=namespace,
            stdin=request,
            environment={
                "CNI_COMMAND": command,
                "CNI_PATH": str(self.binaries),
                "PATH": ENVIRONMENT["PATH"],
            }
            | environment,
            timeout_s=CALL_TIMEOUT_S,
        )
        answer = _document(result.stdout)
        if result.exit_code != 0:
            raise _failure(kind, answer, result.exit_code, result.stderr)
        return answer


def _request(
    attachment: Attachment,
    plugin: dict[str, JsonValue],
    previous: dict[str, JsonValue] | None,
) -> dict[str, JsonValue]:
    """Derive a plugin's own configuration from the list's (section 3)."""
    request = {
        "cniVersion": attachment.conflist["cniVersion"],
        "name": attachment.name,
    } | plugin
    wanted: Any = request.pop("capabilities", {})
    offered = attachment.runtime_config
    runtime = {name: offered[name] for name in wanted if wanted[name] and name in offered}
    if runtime:
        request["runtimeConfig"] = runtime
    if previous is not None:
        request["prevResult"] = previous
    return request


def _document(output: bytes) -> dict[str, JsonValue]:
    try:
        answer = json.loads(output or b"{}")
    except ValueError:
        answer = {"msg": output.decode("utf-8", "replace").strip()[-500:]}
    return answer if isinstance(answer, dict) else {"msg": str(answer)}


def _failure(
    kind: str, answer: dict[str, JsonValue], exit_code: int, stderr: bytes
) -> CnibenchError:
    """Tell a plugin's failure in its own words."""
    said = [str(answer[key]) for key in ("msg", "details") if answer.get(key)]
    said = said or [stderr.decode("utf-8", "replace").strip()[-500:] or f"exit status {exit_code}"]
    text = f"CNI plugin {kind} failed with code {answer.get('code', '-')}: {'; '.join(said)}"
    return (TransientError if answer.get("code") == TRY_AGAIN_LATER else RefusedError)(text)
