# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
version_of=github.com/containerd/containerd/v2
# Snapshotters that the lab does not use and whose libraries it would need.
tags=no_btrfs,no_devmapper,no_zfs
link_flags="-X $version_of/version.Version={version}"
