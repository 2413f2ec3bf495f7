#!/usr/bin/env bash
# install.sh BASE DIRECTORY PACKAGES ARCHIVES installs Debian packages over the root file system BASE
# and leaves what that adds or changes in DIRECTORY/root, and packages that are only fetched in
# DIRECTORY/root/archives. BASE itself stays as it is: it is the lower part of an overlay, which is
# mounted in namespaces of their own and so goes with them, also when this is killed.
set -euo pipefail
base=$1 directory=$2 packages=$3 archives=$4

if [[ ${IN_NAMESPACES:-} != yes ]]; then
    export IN_NAMESPACES=yes
    exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi

merged="$directory/merged" log_file="$directory/../install.log"
mkdir --parents "$merged" "$directory/work"
mount --types overlay overlay "$merged" \
    --options "lowerdir=$base,upperdir=$directory/root,workdir=$directory/work"
mount --types proc proc "$merged/proc"
# The machine's own, so that names resolve as they do here. Mounted, they do not get into the layer.
mount --bind /etc/resolv.conf "$merged/etc/resolv.conf"
mount --bind /etc/hosts "$merged/etc/hosts"

# shellcheck disable=SC2016 # It is the inner shell that expands them.
env --ignore-environment PATH="$PATH" DEBIAN_FRONTEND=noninteractive \
    "http_proxy=${http_proxy:-}" "https_proxy=${https_proxy:-}" \
    chroot "$merged" bash -ec '
        apt-get --quiet=2 update
        apt-get --quiet=2 --yes --no-install-recommends install $1
        mkdir --mode=777 /archives && cd /archives
        for package in $2; do apt-get --quiet=2 download "$package"; done
        rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/*.log /var/log/apt
    ' install "$packages" "$archives" >"$log_file" 2>&1 </dev/null \
    || { tail --lines=5 "$log_file" >&2; exit 1; }
umount --recursive "$merged"
rm --recursive --force "$merged" "$directory/work"
# Deleted files of the base would be devices here; a new layer need not hide any.
find "$directory/root" -type c -delete
