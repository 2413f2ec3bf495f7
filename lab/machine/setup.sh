#!/usr/bin/env bash
# What nodes that are virtual machines need beside the rest of the lab: qemu from Debian and, as
# .tools/lab/machine, a kernel of Debian's that has what this machine's own may lack.
set -euo pipefail
source "$(dirname "$0")/../../images/lib.sh"

machine="$(cd "$(dirname "$0")" && pwd)"
cd "$machine/../.."
debian_packages=(cpio e2fsprogs qemu-system-x86)
# Loaded before the disk can be read, in this order; without the others there is no first disk.
first_modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk)

main() {
    local entry
    [[ "$(uname --machine)" == x86_64 ]] || fail 2 "virtual machines are made for x86_64 only"
    install_debian_packages "${debian_packages[@]}"
    entry="$(cache_entry machine-kernel "$(digest_of "$machine"/{setup,init}.sh)" build)"
    mkdir --parents .tools/lab
    ln --symbolic --force --no-dereference "$entry" .tools/lab/machine
}

# Unpacked, not installed: this machine shall not boot from it.
build() {
    local target=$1 package version
    package="$(apt-cache depends linux-image-cloud-amd64 \
        | sed --quiet 's/^ *Depends: \(linux-image-.*\)$/\1/p' | head --lines=1)"
    [[ -n $package ]] || fail 1 "no package depends on from linux-image-cloud-amd64: apt-get update"
    log "machine-kernel: fetching $package"
    for package in "$package" busybox-static; do
        (cd "$target" && apt-get --quiet=2 --option APT::Sandbox::User=root download "$package")
        dpkg-deb --extract "$target/$package"_*.deb "$target/unpacked"
    done
    version="$(basename "$target"/unpacked/lib/modules/*)"
    mkdir "$target/lib"
    mv "$target"/unpacked/boot/vmlinuz-* "$target/vmlinuz"
    mv "$target/unpacked/lib/modules" "$target/lib/modules"
    mv "$target/unpacked/bin/busybox" "$target/busybox"
    "$target/busybox" depmod -b "$target" "$version"
    make_first_disk "$target" "$target/lib/modules/$version"
    rm --recursive --force "$target"/{unpacked,first} "$target"/*.deb
}

# The file system with which the kernel begins: enough to read the disk.
make_first_disk() {
    local first="$1/first" module
    mkdir --parents "$first"/{bin,dev,proc,disk,configuration}
    cp "$1/busybox" "$first/bin/busybox"
    cp "$machine/init.sh" "$first/init"
    chmod 755 "$first/init"
    for module in "${first_modules[@]}"; do
        find "$2" -name "$module.ko" -exec cat {} + >"$first/$module.ko"
    done
    printf '%s\n' "${first_modules[@]}" >"$first/modules"
    (cd "$first" && find . | cpio --create --quiet --format=newc) | gzip -1 >"$1/first.gz"
}

main
