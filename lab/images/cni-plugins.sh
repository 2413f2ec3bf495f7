# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# From here a DaemonSet lays the reference CNI plugins out on the nodes.
release="$(version_in "$images/cni-plugins/go.mod" github.com/containernetworking/plugins)"
references=("docker.io/cnibench/cni-plugins:$release")

fill() {
    install -D --target-directory="$1/cni-plugins" "$reference_plugins"/*
}
