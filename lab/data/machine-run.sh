#!/usr/bin/env bash
# Process 1 of a node that is a virtual machine: does for a whole machine what node-enter.sh does for
# namespaces, and becomes node-run.sh. NODE_NAME, NODE_ADDRESS, NODE_PREFIX and NODE_GATEWAY come from
# the kernel's command line.
set -euo pipefail
# What is measured in here is compared with nothing.
export NODE_LABELS=cnibench.io/environment-class=emulated
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root
# Others are loaded by the kernel when somebody asks for what they do. These nobody asks for.
modules=(virtio_net virtio_rng overlay br_netfilter nf_conntrack)

main() {
    mount_all
    printf '%s\n' "$NODE_NAME" >/proc/sys/kernel/hostname
    local module
    for module in "${modules[@]}"; do
        modprobe "$module"
    done
    plug
    exec /usr/local/lib/cnibench/node-run.sh
}

mount_all() {
    mount --types proc --options nosuid,nodev,noexec proc /proc
    mount --types sysfs --options nosuid,nodev,noexec sysfs /sys
    mount --types cgroup2 cgroup2 /sys/fs/cgroup
    mount --types bpf --options mode=700 bpf /sys/fs/bpf
    mount --types devtmpfs --options mode=755,nosuid dev /dev
    mkdir --parents /dev/{pts,shm,mqueue,net}
    mount --types devpts --options ptmxmode=0666,mode=620,gid=5 devpts /dev/pts
    mount --types tmpfs --options mode=1777,nosuid,nodev tmpfs /dev/shm
    mount --types mqueue mqueue /dev/mqueue
    mount --types tmpfs --options mode=755,nosuid,nodev tmpfs /run
    mkdir --mode=1777 /run/lock
    # mount(8) makes it at some time; here it is before anybody takes an inventory.
    mkdir /run/mount
    ln --symbolic --force /proc/self/fd /dev/fd
    mount --make-rshared /
}

plug() {
    ip link set lo up
    ip address add "$NODE_ADDRESS/$NODE_PREFIX" dev eth0
    ip link set eth0 up
    ip route add default via "$NODE_GATEWAY"
    printf '1\n' >/proc/sys/net/ipv4/ip_forward
}

main
