#!/usr/bin/env bash
# debian.sh SUITE PACKAGES DIRECTORY makes the root file system of a Debian, from the archive at
# CNIBENCH_DEBIAN_MIRROR when it is set. PACKAGES, between commas, are those beside the smallest set.
#
# In mount and process namespaces of its own: debootstrap mounts /proc and /sys, and one of them may
# stay. Here they end with the namespace, also when it is killed, and the machine's own mounts are out
# of reach.
set -euo pipefail
exec unshare --mount --pid --fork --kill-child --mount-proc \
    debootstrap --variant=minbase --force-check-gpg --include="$2" "$1" "$3" \
    ${CNIBENCH_DEBIAN_MIRROR:+"$CNIBENCH_DEBIAN_MIRROR"}
