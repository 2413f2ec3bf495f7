"""A plugin: one CNI in one variant, described so that no code has to know its name."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from steps.lib.models.base import FieldError, Model, Name
from steps.lib.models.install import CniChain, Install
from steps.lib.models.life import Cleanup, Needs, Ready, VersionCommand
from steps.lib.models.path import PATHS, SERVICE_ADDRESSES, STATED_BY_EVERY_PLUGIN, PathName
from steps.lib.models.policy import EnforcedKind
from steps.lib.models.source import Source
from steps.lib.models.timed import AddressFamily

TargetKind = Literal["namespaces", "kubernetes"]

ENCRYPTING = ("wireguard", "ipsec")

DeviceRef = Annotated[
    str,
    StringConstraints(pattern=r"^(client|server|client-node|server-node):(@pair|@uplink|[\w.-]+)$"),
]
"""A network device as seen from a path: ``<whose>:<device>``.

``client`` and ``server`` are the endpoints' own namespaces, ``client-node`` and ``server-node``
their nodes. ``@uplink`` is the node's underlay device, ``@pair`` the node-side end of the
endpoint's own link, whose name the plugin chooses at run time.
"""


class PathEvidence(Model):
    """How to prove that a cell's bytes took this path, by counters of named devices."""

    carries: tuple[DeviceRef, ...] = Field(
        min_length=1, description="Each must move at least the payload of the measured window"
    )
    silent: tuple[DeviceRef, ...] = Field(default=(), description="Each must stay nearly still")
    encrypted: bool = Field(
        default=False,
        description="Whether nobody between the nodes can read what the pods say to each other",
    )


class Feature(Model):
    """One entry of the table of features: what is claimed, by whom, and whether it was seen."""

    claimed: str | tuple[str, ...]
    source: str = Field(description="Where it is claimed")
    verified: str | None = Field(
        default=None, description="How cnibench saw it; empty if not, as of plugins never run"
    )


class Features(Model):
    """The rows of the table of features. What stands nowhere is not claimed."""

    dataplane: Feature | None = None
    encapsulation: Feature | None = None
    encryption: Feature | None = None
    security: Feature | None = None
    observability: Feature | None = None
    purpose: Feature | None = None
    additional_features: Feature | None = None
    gateway_api: Feature | None = None
    egress_gateway: Feature | None = None


class Variant(Model):
    """The sibling that a variant is compared with, to say what its one difference costs."""

    of: Name = Field(description="Plugin that is the same but for it")
    adds: Literal[
        "overlay",
        "encryption",
        "policy",
        "observability",
        "services",
        "gateway",
        "data-path",
        "dual-stack",
        "masquerading",
        "bandwidth-limit",
    ]


def _without_nulls(entries: object) -> object:
    """What a file took back of what it extends is not there; mistakes are left for the field."""
    if not isinstance(entries, Mapping):
        return entries
    return {k: v for k, v in entries.items() if v is not None or k not in PATHS}


class Plugin(Model):
    """One CNI plugin in one variant: a candidate of a comparison."""

    name: Name
    title: str = Field(description="As people know it, for tables and plots")
    description: str
    source: Source
    variant: Variant | None = Field(
        default=None, description="What it has more than another plugin; null if it has no sibling"
    )
    targets: tuple[TargetKind, ...] = Field(min_length=1)
    install: Install
    baseline: bool = Field(
        default=False, description="The no-plugin reference that others are compared with"
    )
    encapsulation: Literal["none", "vxlan", "geneve", "gre", "ipip", "wireguard", "ipsec"] = "none"
    mtu_overhead_bytes: int = Field(
        default=0, ge=0, description="Pod MTU = underlay MTU minus this"
    )
    needs: Needs = Needs()
    ready: Ready = Ready()
    version: VersionCommand | None = None
    removes: Cleanup = Cleanup()
    families: tuple[AddressFamily, ...] = Field(
        default=("ipv4",),
        min_length=1,
        description="Families of addresses that its pods have; cells of others: unsupported",
    )
    policies: tuple[EnforcedKind, ...] = Field(
        default=(), description="Kinds of policies that it enforces; cells of others: unsupported"
    )
    features: Features = Features()
    paths: dict[PathName, PathEvidence] = Field(description="Paths that exist, with their proof")
    unsupported: Annotated[
        dict[PathName, str],
        BeforeValidator(_without_nulls, json_schema_input_type=dict[PathName, str | None]),
    ] = Field(
        default={},
        description="Paths that cannot exist, with the reason; null for one that can, though it "
        "cannot in the plugin that this one extends",
    )

    @model_validator(mode="after")
    def _each_path_is_either_proven_or_excluded(self) -> Self:
        both = sorted(set(self.paths) & set(self.unsupported))
        neither = [p for p in self._paths() if p not in self.paths and p not in self.unsupported]
        if both:
            raise FieldError("stands in `paths` too; keep one of them", "unsupported", both[0])
        if neither:
            raise FieldError(
                f"path {neither[0]!r} is missing; add it to `paths` with the devices that carry "
                "it, or to `unsupported` with the reason",
                "paths",
            )
        return self

    @model_validator(mode="after")
    def _every_family_has_a_way_between_nodes(self) -> Self:
        if "ipv4" not in self.families:
            raise FieldError("lacks ipv4, which nodes have always; add it", "families")
        chain = self.install if isinstance(self.install, CniChain) else None
        if "ipv6" in self.families and chain and chain.inter_node.kind != "routes":
            raise FieldError(
                f"ipv6 has no way between nodes by {chain.inter_node.kind!r}; write "
                "`kind: routes` in install.inter_node, or leave ipv6 out",
                "families",
            )
        return self

    @model_validator(mode="after")
    def _somebody_enforces_its_policies(self) -> Self:
        chain = self.install if isinstance(self.install, CniChain) else None
        if self.policies and "namespaces" in self.targets and not (chain and chain.rules):
            raise FieldError(
                "nobody enforces them on the embedded target; add `rules: nftables` to install, or "
                "leave them out",
                "policies",
            )
        if chain and chain.rules and "ipv6" in self.families:
            raise FieldError("rules of nftables are of ipv4 only; leave ipv6 out", "families")
        if chain and chain.rules and "deny" in self.policies:
            raise FieldError("rules know no `deny`; write allow and default-deny", "policies")
        return self

    @model_validator(mode="after")
    def _what_encrypts_says_on_which_path(self) -> Self:
        claimed = any(path.encrypted for path in self.paths.values())
        if self.encapsulation in ENCRYPTING and not claimed:
            raise FieldError(
                f"encapsulation {self.encapsulation!r} encrypts; write `encrypted: true` on each "
                "path where it does, so that it is proven there",
                "paths",
            )
        return self

    def _paths(self) -> tuple[PathName, ...]:
        """Those that one of the plugin's targets has: Services are of kubernetes only."""
        services = "kubernetes" in self.targets
        return tuple(
            name
            for name in STATED_BY_EVERY_PLUGIN
            if services or PATHS[name].address not in SERVICE_ADDRESSES
        )

    @model_validator(mode="after")
    def _what_is_applied_has_a_source_and_an_api_server(self) -> Self:
        if self.install.mechanism not in ("manifest", "chart"):
            return self
        if self.source.url is None:
            raise FieldError(
                f"is missing; mechanism {self.install.mechanism!r} installs what is fetched there",
                "source",
                "url",
            )
        if self.targets != ("kubernetes",):
            raise FieldError(
                f"mechanism {self.install.mechanism!r} exists on kubernetes only; "
                "write [kubernetes]",
                "targets",
            )
        return self
