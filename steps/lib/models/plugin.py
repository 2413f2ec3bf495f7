"""A plugin: one CNI in one variant, described so that no code has to know its name."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from steps.lib.models.base import FieldError, Model, Name
from steps.lib.models.path import PATH_NAMES, PathName

TargetKind = Literal["namespaces", "kubernetes"]

DeviceRef = Annotated[
    str,
    StringConstraints(pattern=r"^(client|server|client-node|server-node):(@pair|@uplink|[\w.-]+)$"),
]
"""A network device as seen from a path: ``<whose>:<device>``.

``client`` and ``server`` are the endpoints' own namespaces, ``client-node`` and ``server-node``
their nodes. ``@uplink`` is the node's underlay device, ``@pair`` the node-side end of the
endpoint's own link, whose name the plugin chooses at run time.
"""

NFT_TABLE = r"^(ip|ip6|inet|arp|bridge|netdev) [A-Za-z_][\w.-]*$"


class Routes(Model):
    """Nodes reach each other's pods by one route per node over the underlay."""

    kind: Literal["routes"]


class Vxlan(Model):
    """Nodes reach each other's pods through a VXLAN device with static entries (RFC 7348)."""

    kind: Literal["vxlan"]
    device: str = Field(max_length=15, description="Name of the tunnel device on each node")
    vni: int = Field(ge=1, lt=2**24, description="VXLAN network identifier")
    port: int = Field(default=4789, ge=1, le=65535, description="UDP port of the tunnel")


class SharedLink(Model):
    """Pods are members of the underlay's own subnet: nothing to set up between nodes."""

    kind: Literal["shared-link"]


class CniChain(Model):
    """Reference plugins called one after the other by the CNI specification.

    String values in ``plugins`` may hold placeholders that the target fills in per node:
    ``{pod_cidr}``, ``{pod_mtu}`` (a number), ``{uplink}``, ``{underlay_cidr}``,
    ``{pod_range_start}`` and ``{pod_range_end}`` (addresses inside the underlay reserved for this
    node's pods), ``{state_dir}`` (where the plugin may keep its files).
    """

    mechanism: Literal["cni-chain"]
    cni_version: str = "1.0.0"
    plugins: tuple[dict[str, JsonValue], ...] = Field(
        min_length=1, description="The `plugins` list of the CNI network configuration, in order"
    )
    inter_node: Annotated[Routes | Vxlan | SharedLink, Field(discriminator="kind")]


class HostNetwork(Model):
    """No pod network: endpoints share their node's network namespace."""

    mechanism: Literal["host-network"]


class Source(Model):
    """Where the software under test comes from, pinned."""

    name: str = Field(description="Project or module, for example a Go module path")
    version: str
    digest: str | None = Field(default=None, description="sha256 of what is installed, if fetched")


class Needs(Model):
    """What the kernel must offer; checked by preflight, reported as `unsupported` where absent."""

    link_kinds: tuple[str, ...] = Field(
        default=(), description="Kinds of network link the kernel must be able to create"
    )


class Cleanup(Model):
    """What the plugin leaves on a node after its last pod, taken away when it is removed.

    Declared, so that ``remove`` needs no list of names in code and so that everything else that
    stays behind counts as residue.
    """

    links: tuple[str, ...] = Field(default=(), description="Names of network devices")
    nft_tables: tuple[Annotated[str, StringConstraints(pattern=NFT_TABLE)], ...] = Field(
        default=(), description="nftables tables as `<family> <name>`"
    )
    files: tuple[Annotated[str, StringConstraints(pattern=r"^[^/]")], ...] = Field(
        default=(), description="Patterns of files below `{state_dir}`, for example `ipam/*/lock`"
    )


class PathEvidence(Model):
    """How to prove that a cell's bytes took this path, by counters of named devices."""

    carries: tuple[DeviceRef, ...] = Field(
        min_length=1, description="Each must move at least the payload of the measured window"
    )
    silent: tuple[DeviceRef, ...] = Field(default=(), description="Each must stay nearly still")


class Plugin(Model):
    """One CNI plugin in one variant: a candidate of a comparison."""

    name: Name
    title: str = Field(description="As people know it, for tables and plots")
    description: str
    source: Source
    targets: tuple[TargetKind, ...] = Field(min_length=1)
    install: Annotated[CniChain | HostNetwork, Field(discriminator="mechanism")]
    baseline: bool = Field(
        default=False, description="The no-plugin reference that others are compared with"
    )
    encapsulation: Literal["none", "vxlan", "geneve", "ipip", "wireguard", "ipsec"] = "none"
    mtu_overhead_bytes: int = Field(
        default=0, ge=0, description="Pod MTU = underlay MTU minus this"
    )
    needs: Needs = Needs()
    removes: Cleanup = Cleanup()
    paths: dict[PathName, PathEvidence] = Field(description="Paths that exist, with their proof")
    unsupported: dict[PathName, str] = Field(
        default={}, description="Paths that cannot exist, with the reason"
    )

    @model_validator(mode="after")
    def _each_path_is_either_proven_or_excluded(self) -> Self:
        both = sorted(set(self.paths) & set(self.unsupported))
        neither = [p for p in PATH_NAMES if p not in self.paths and p not in self.unsupported]
        if both:
            raise FieldError("stands in `paths` too; keep one of them", "unsupported", both[0])
        if neither:
            raise FieldError(
                f"path {neither[0]!r} is missing; add it to `paths` with the devices that carry "
                "it, or to `unsupported` with the reason",
                "paths",
            )
        return self
