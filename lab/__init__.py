"""A throw-away Kubernetes cluster on this machine, without Docker: ``python -m lab up``.

A node is a set of namespaces (network, mount, process, host name, IPC, control group) with a root
file system, containerd and kubelet of its own. Nothing of the machine's network is touched.
"""
