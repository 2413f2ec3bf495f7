"""How a plugin gets onto the nodes: a small set of mechanisms, each with its data."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from steps.lib.models.base import Model
from steps.lib.models.source import AbsolutePath, Origin

LinkName = Annotated[str, Field(max_length=15)]


class Routes(Model):
    """Nodes reach each other's pods by one route per node over the underlay."""

    kind: Literal["routes"]


class Vxlan(Model):
    """Nodes reach each other's pods through a VXLAN device with static entries (RFC 7348)."""

    kind: Literal["vxlan"]
    device: LinkName = Field(description="Name of the tunnel device on each node")
    vni: int = Field(ge=1, lt=2**24, description="VXLAN network identifier")
    port: int = Field(default=4789, ge=1, le=65535, description="UDP port of the tunnel")


class SharedLink(Model):
    """Pods are members of the underlay's own subnet: nothing to set up between nodes."""

    kind: Literal["shared-link"]


class CniChain(Model):
    """Reference plugins called one after the other by the CNI specification.

    String values in ``plugins`` may hold placeholders that the target fills in per node:
    ``{pod_cidr}``, ``{pod_cidr6}`` (IPv6, of the embedded target), ``{pod_mtu}`` (a number),
    ``{uplink}``, ``{underlay_cidr}``, ``{pod_range_start}`` and ``{pod_range_end}`` (addresses
    inside the underlay reserved for this node's pods), ``{state_dir}`` (where the plugin may keep
    its files).
    """

    mechanism: Literal["cni-chain"]
    cni_version: str = "1.0.0"
    plugins: tuple[dict[str, JsonValue], ...] = Field(
        min_length=1, description="The `plugins` list of the CNI network configuration, in order"
    )
    inter_node: Annotated[Routes | Vxlan | SharedLink, Field(discriminator="kind")]
    rules: Literal["nftables"] | None = Field(
        default=None,
        description="Of policies and Services, on the embedded target: one rule each in the nodes' "
        "packet filter, looked at one after the other for each new connection",
    )


class HostNetwork(Model):
    """No pod network: endpoints share their node's network namespace."""

    mechanism: Literal["host-network"]


class ObjectReference(Model):
    """One object of the source."""

    kind: str
    name: str


class Patch(ObjectReference):
    """A change of one object of the source, which must be there."""

    patch: tuple[dict[str, JsonValue], ...] = Field(
        min_length=1, description="Operations of a JSON Patch (RFC 6902)"
    )


class Applied(Model):
    """Objects given to the API server, as the source has them or changed.

    Texts in ``patches``, ``objects``, ``values`` and ``files`` may hold placeholders, which stay
    texts: ``{pod_cidr}``, ``{service_cidr}``, ``{dns_address}``, ``{api_host}``, ``{api_port}``,
    ``{pod_mtu}``, ``{underlay_mtu}``, ``{random_hex}`` (20 bytes, new for each installation). Other
    braces stay as they are.
    """

    namespace: str = Field(description="Where its workloads are")
    crds: Origin | None = Field(
        default=None, description="Custom resource definitions, where the source lacks them"
    )
    patches: tuple[Patch, ...] = ()
    objects: tuple[dict[str, JsonValue], ...] = Field(
        default=(), description="Further objects, applied with those of the source"
    )
    omit: tuple[ObjectReference, ...] = Field(
        default=(), description="Objects of the source that are not applied"
    )
    files: dict[AbsolutePath, str] = Field(
        default={}, description="Files laid on each node before, removed with the plugin"
    )


class Manifest(Applied):
    """The source is a YAML file of objects, or a folder of such files."""

    mechanism: Literal["manifest"]


class Chart(Applied):
    """The source is the folder of a Helm chart. Its hooks and notes are not applied."""

    mechanism: Literal["chart"]
    release: str
    values: dict[str, JsonValue] = Field(default={}, description="As in the chart's values.yaml")


Install = Annotated[CniChain | HostNetwork | Manifest | Chart, Field(discriminator="mechanism")]
