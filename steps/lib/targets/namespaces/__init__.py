"""The embedded target: network namespaces of this machine as nodes, reference plugins by CNI."""
