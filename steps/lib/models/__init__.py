"""The documents people write: plugins, profiles, matrices, campaigns."""

from steps.lib.models.base import CELL_ID_LENGTH_MAX, Model, Name
from steps.lib.models.campaign import Campaign, ExternalClient, TargetSpec
from steps.lib.models.components import Component, CpuComponents
from steps.lib.models.http import Http
from steps.lib.models.install import (
    Applied,
    Chart,
    CniChain,
    HostNetwork,
    Manifest,
    ObjectReference,
    Patch,
    Routes,
    SharedLink,
    Vxlan,
)
from steps.lib.models.life import (
    Cleanup,
    Condition,
    Needs,
    NodeCommand,
    ObjectPattern,
    Ready,
    VersionCommand,
)
from steps.lib.models.matrix import (
    Cell,
    Limits,
    Matrix,
    Stream,
    TcpStream,
    Traffic,
    Transactions,
    UdpStream,
    datagram_sizes,
)
from steps.lib.models.no_drop import NoDropSearch
from steps.lib.models.path import (
    PATH_NAMES,
    PATHS,
    SERVICE_ADDRESSES,
    AddressKind,
    EndpointKind,
    Path,
    PathName,
    Placement,
)
from steps.lib.models.plugin import (
    DeviceRef,
    Feature,
    Features,
    PathEvidence,
    Plugin,
    TargetKind,
)
from steps.lib.models.policy import NO_SUCH_OBJECT, Policy
from steps.lib.models.profile import Entry, Profile
from steps.lib.models.scale import Scale
from steps.lib.models.source import Digest, Origin, Source
from steps.lib.models.timed import IP_HEADER_BYTES, AddressFamily, Load, family_of

__all__ = [
    "CELL_ID_LENGTH_MAX",
    "IP_HEADER_BYTES",
    "NO_SUCH_OBJECT",
    "PATHS",
    "PATH_NAMES",
    "SERVICE_ADDRESSES",
    "AddressFamily",
    "AddressKind",
    "Applied",
    "Campaign",
    "Cell",
    "Chart",
    "Cleanup",
    "CniChain",
    "Component",
    "Condition",
    "CpuComponents",
    "DeviceRef",
    "Digest",
    "EndpointKind",
    "Entry",
    "ExternalClient",
    "Feature",
    "Features",
    "HostNetwork",
    "Http",
    "Limits",
    "Load",
    "Manifest",
    "Matrix",
    "Model",
    "Name",
    "Needs",
    "NoDropSearch",
    "NodeCommand",
    "ObjectPattern",
    "ObjectReference",
    "Origin",
    "Patch",
    "Path",
    "PathEvidence",
    "PathName",
    "Placement",
    "Plugin",
    "Policy",
    "Profile",
    "Ready",
    "Routes",
    "Scale",
    "SharedLink",
    "Source",
    "Stream",
    "TargetKind",
    "TargetSpec",
    "TcpStream",
    "Traffic",
    "Transactions",
    "UdpStream",
    "VersionCommand",
    "Vxlan",
    "datagram_sizes",
    "family_of",
]
