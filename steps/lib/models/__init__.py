"""The documents people write: plugins, profiles, matrices, campaigns."""

from steps.lib.models.base import CELL_ID_LENGTH_MAX, Model, Name
from steps.lib.models.campaign import Campaign, TargetSpec
from steps.lib.models.matrix import (
    Cell,
    Limits,
    Matrix,
    Stream,
    TcpStream,
    TcpTransactions,
    Traffic,
    UdpStream,
)
from steps.lib.models.path import PATH_NAMES, PATHS, EndpointKind, Path, PathName, Placement
from steps.lib.models.plugin import (
    Cleanup,
    CniChain,
    DeviceRef,
    HostNetwork,
    PathEvidence,
    Plugin,
    Routes,
    SharedLink,
    TargetKind,
    Vxlan,
)
from steps.lib.models.profile import Profile, Sysctl

__all__ = [
    "CELL_ID_LENGTH_MAX",
    "PATHS",
    "PATH_NAMES",
    "Campaign",
    "Cell",
    "Cleanup",
    "CniChain",
    "DeviceRef",
    "EndpointKind",
    "HostNetwork",
    "Limits",
    "Matrix",
    "Model",
    "Name",
    "Path",
    "PathEvidence",
    "PathName",
    "Placement",
    "Plugin",
    "Profile",
    "Routes",
    "SharedLink",
    "Stream",
    "Sysctl",
    "TargetKind",
    "TargetSpec",
    "TcpStream",
    "TcpTransactions",
    "Traffic",
    "UdpStream",
    "Vxlan",
]
