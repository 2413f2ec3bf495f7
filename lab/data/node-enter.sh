#!/usr/bin/env bash
# First program of a node, process 1 of its namespaces: lays out the node's root file system, leaves
# the machine's behind, and becomes node-run.sh. lab/node.py says what the variables are.
set -euo pipefail

root="$NODE_DISK/root"

main() {
    hostname "$NODE_NAME"
    mount --types overlay node "$root" --options \
        "lowerdir=$NODE_SYSTEM,upperdir=$NODE_DISK/upper,workdir=$NODE_DISK/work"
    # The folders of containerd's snapshots and of volumes cannot be on an overlay.
    local folder
    for folder in containerd kubelet; do
        mkdir --parents "$root/var/lib/$folder"
        mount --bind "$NODE_DISK/$folder" "$root/var/lib/$folder"
    done
    mount --types tmpfs --options mode=755,nosuid,nodev tmpfs "$root/run"
    mkdir --mode=1777 "$root/run/lock"
    mount_proc
    mount_sys
    mount_dev
    bind_programs
    cd "$root"
    pivot_root . mnt
    # Everything of the machine goes, also the names of network namespaces, which would else live
    # on in here after they were deleted out there.
    umount --lazy /mnt
    mount --make-rshared /
    exec /usr/local/lib/cnibench/node-run.sh
}

# Settings outside of net belong to the whole machine. Kubelet insists on a few of them, and is
# shown what it wants to see.
mount_proc() {
    local each
    mount --types proc --options nosuid,nodev,noexec proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount --options remount,bind,ro "$root/proc/sys"
    mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
    mount --options remount,bind,rw "$root/proc/sys/net"
    mkdir "$root/run/settings"
    for each in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
        kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
        printf '%s\n' "${each#*=}" >"$root/run/settings/$(basename "${each%=*}")"
        mount --bind "$root/run/settings/$(basename "${each%=*}")" "$root/proc/sys/${each%=*}"
    done
}

# A new sysfs shows the devices of the node's own network namespace; new mounts of the control
# groups show the node's own group as their root, so nothing in here reaches the machine's.
mount_sys() {
    local each
    mount --types sysfs --options nosuid,nodev,noexec sysfs "$root/sys"
    mount --types bpf --options mode=700 bpf "$root/sys/fs/bpf"
    # Version 2 alone is that directory itself.
    [[ $NODE_CGROUPS == .= ]] \
        || mount --types tmpfs --options mode=755 tmpfs "$root/sys/fs/cgroup"
    for each in $NODE_CGROUPS; do
        mkdir --parents "$root/sys/fs/cgroup/${each%%=*}"
        if [[ -n ${each#*=} ]]; then
            mount --types cgroup --options "${each#*=}" cgroup "$root/sys/fs/cgroup/${each%%=*}"
        else
            mount --types cgroup2 cgroup2 "$root/sys/fs/cgroup/${each%%=*}"
        fi
    done
}

# A few devices, so that privileged pods get no disk of the machine.
mount_dev() {
    local name
    mount --types tmpfs --options mode=755,nosuid tmpfs "$root/dev"
    mkdir "$root/dev/"{pts,shm,mqueue,net}
    for name in null zero full random urandom tty kmsg net/tun fuse; do
        [[ -e /dev/$name ]] || continue
        cp --archive "/dev/$name" "$root/dev/$name"
    done
    mount --types devpts --options newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
    mount --types tmpfs --options mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
    mount --types mqueue mqueue "$root/dev/mqueue"
    ln --symbolic pts/ptmx "$root/dev/ptmx"
    ln --symbolic /proc/self/fd "$root/dev/fd"
    for name in 0:stdin 1:stdout 2:stderr; do
        ln --symbolic "/proc/self/fd/${name%:*}" "$root/dev/${name#*:}"
    done
}

bind_programs() {
    local program
    for program in $NODE_PROGRAMS; do
        bind "$program" "$root/usr/local/bin/$(basename "$program")"
    done
    if [[ -d /lib/modules ]]; then
        mkdir --parents "$root/usr/lib/modules"
        mount --bind /lib/modules "$root/usr/lib/modules"
        mount --options remount,bind,ro "$root/usr/lib/modules"
    fi
}

bind() {
    touch "$2"
    mount --bind "$1" "$2"
    mount --options remount,bind,ro "$2"
}

main
