"""What a plugin needs before, how it shows that it is ready, and what it leaves behind."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from steps.lib.models.base import Model
from steps.lib.models.source import AbsolutePath, RelativePath

NFT_TABLE = r"^(ip|ip6|inet|arp|bridge|netdev) [A-Za-z_][\w.*-]*$"

SETTING = r"^(net|kernel|vm|fs)\.[\w./-]+$"

Workload = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")]
"""``<namespace>/<name>``."""


class Needs(Model):
    """What nodes must offer; checked before anything is installed, `unsupported` where absent."""

    link_kinds: tuple[str, ...] = Field(
        default=(), description="Kinds of network link the kernel must be able to create"
    )
    kernel: Annotated[str, StringConstraints(pattern=r"^>=\d+\.\d+$")] | None = Field(
        default=None, description="Oldest kernel, as `>=5.6`"
    )
    modules: tuple[str, ...] = Field(default=(), description="Kernel modules, loadable or built in")
    programs: tuple[AbsolutePath, ...] = Field(
        default=(), description="Programs on each node, such as reference plugins that it calls"
    )
    kube_proxy: Literal["present", "absent", "any"] = Field(
        default="any", description="Whether Services are made by kube-proxy"
    )
    l2_adjacent: bool = Field(
        default=False, description="Nodes must share one link, since routes go to them directly"
    )


class Condition(Model):
    """A condition in the status of an object that must be `True`."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None
    type: str


class Ready(Model):
    """What must hold before the data path is probed; all of it."""

    timeout_s: int = Field(default=180, ge=1, le=1800)
    daemonsets: tuple[Workload, ...] = ()
    deployments: tuple[Workload, ...] = ()
    conditions: tuple[Condition, ...] = ()
    taints_gone: tuple[str, ...] = Field(default=(), description="Keys of taints of nodes")
    files: tuple[AbsolutePath, ...] = Field(default=(), description="On each node")


class VersionCommand(Model):
    """How the running plugin tells its version: it is read, never copied from the file."""

    workload: Workload
    container: str
    command: tuple[str, ...] = Field(min_length=1)
    pattern: str = Field(description="Regular expression; its first group is the version")


class NodeCommand(Model):
    """The plugin's own clean-up of a node: privileged, in the node's network, in its image."""

    workload: Workload = Field(description="DaemonSet whose image, and volumes, are taken")
    container: str
    command: tuple[str, ...] = Field(min_length=1)
    timeout_s: int = Field(default=60, ge=1, le=600)


class ObjectPattern(Model):
    """Objects of one kind, by a pattern of their names. `*` must be written: it means all."""

    api_version: str
    kind: str
    name: str


class Cleanup(Model):
    """What the plugin leaves on a node after its last pod, taken away when it is removed.

    Declared, so that ``remove`` needs no list of names in code and so that everything else that
    stays behind counts as residue. On kubernetes, names may be patterns (``cali*``). The order is:
    ``first``, all other objects, ``commands``, and then what is listed for the nodes.
    """

    links: tuple[str, ...] = Field(default=(), description="Names of network devices")
    nft_tables: tuple[Annotated[str, StringConstraints(pattern=NFT_TABLE)], ...] = Field(
        default=(), description="nftables tables as `<family> <name>`"
    )
    files: tuple[Annotated[str, StringConstraints(pattern=r"^[^/]")], ...] = Field(
        default=(), description="Patterns of files below `{state_dir}`, for example `ipam/*/lock`"
    )
    paths: tuple[AbsolutePath, ...] = Field(
        default=(), description="Patterns of files and folders on the node"
    )
    iptables: tuple[str, ...] = Field(
        default=(),
        description="Patterns of chains, which go with the rules that jump to them, and of the "
        "comments of single rules; of IPv4 and IPv6",
    )
    ipsets: tuple[str, ...] = Field(default=(), description="Patterns of names")
    routes: tuple[str, ...] = Field(
        default=(), description="Selectors of `ip route`, for example `proto 17`"
    )
    rules: tuple[str, ...] = Field(
        default=(), description="Selectors of `ip rule`, for example `lookup 77`"
    )
    bpf_pins: tuple[RelativePath, ...] = Field(
        default=(), description="Patterns below `/sys/fs/bpf`"
    )
    tc: tuple[str, ...] = Field(
        default=(), description="Patterns of devices that lose their traffic-control programs"
    )
    modules: tuple[str, ...] = Field(
        default=(), description="Kernel modules to unload, since devices go with them"
    )
    settings: tuple[Annotated[str, StringConstraints(pattern=SETTING)], ...] = Field(
        default=(),
        description="Kernel settings that it changes; they get back the value from before it",
    )
    node_annotations: tuple[str, ...] = Field(default=(), description="Patterns of keys")
    node_labels: tuple[str, ...] = Field(default=(), description="Patterns of keys")
    node_taints: tuple[str, ...] = Field(default=(), description="Patterns of keys")
    node_conditions: tuple[str, ...] = Field(default=(), description="Types of conditions")
    commands: tuple[NodeCommand, ...] = ()
    first: tuple[ObjectPattern, ...] = Field(
        default=(), description="Deleted, and awaited, before anything else"
    )
    strip_finalizers: tuple[str, ...] = Field(
        default=(), description="Patterns of finalizers to take off where deletion hangs"
    )
