# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# What containerd is told to hold the namespaces of a pod with.
families=(pause)
references=(registry.k8s.io/pause:3.10)
base=scratch
entrypoint=(/pause)

fill() {
    copy pause "$1"
}
