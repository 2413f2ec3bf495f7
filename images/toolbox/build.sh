#!/usr/bin/env bash
# The tool box in the cache: a root file system with the traffic tools, the same whatever Debian the
# machine runs. packages.txt says what is in it; its /cnibench-toolbox.json says in which versions.
# CNIBENCH_DEBIAN_MIRROR, when set, is the address of the Debian archive to use.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

# The first Debian with an iperf3 of many threads (3.16 or later) and with netperf in main.
suite=trixie

build() {
    local include log_file="$cache/toolbox/build.log"
    include="$(paste --serial --delimiters=, "$images/toolbox/packages.txt")"
    # The long output goes to a file; the names of phases are shown.
    "$images/debian.sh" "$suite" "$include" "$1" 2>&1 | tee "$log_file" | show_phases \
        || fail 1 "toolbox: debootstrap failed, see $log_file: $(tail --lines=1 "$log_file")"
    rm --recursive --force "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*.log
    gcc -std=c11 -O2 -Wall -Wextra -Werror -static -o "$1/usr/local/bin/transact" \
        "$images/toolbox/transact.c" -lm || fail 1 "toolbox: transact does not compile"
    add_http "$1"
    # Debootstrap copies them from the machine; the tool box is to be the same on all.
    : >"$1/etc/resolv.conf"
    : >"$1/etc/hostname"
    verify "$1" "iperf 3.18" iperf3 --version
    verify "$1" "Netperf version 2.7.1" netperf -V
    verify "$1" "transact 1" transact --version
    verify "$1" "h2load nghttp2/1.64.0" h2load --version
    verify "$1" "nginx/1.26.3" nginx -v
    verify "$1" "http-load 1" http-load --version
    write_versions "$1" >"$1/cnibench-toolbox.json"
}

# What HTTP is measured with: the client around h2load, and the server's configuration, once for each
# family of addresses, with files of the sizes that a cell may ask for.
add_http() {
    local share="$1/usr/local/share/cnibench" size
    install -D --mode=755 "$images/toolbox/http-load.py" "$1/usr/local/bin/http-load"
    mkdir --parents "$share/http"
    sed 's/ADDRESS:/0.0.0.0:/' "$images/toolbox/nginx.conf" >"$share/nginx-ipv4.conf"
    sed 's/ADDRESS:/[::]:/' "$images/toolbox/nginx.conf" >"$share/nginx-ipv6.conf"
    for size in 64 1024 16384 131072 1048576; do
        head --bytes="$size" /dev/zero >"$share/http/$size"
    done
}

show_phases() {
    local line
    while read -r line; do
        case $line in
            *" packages..." | *" system...") log "toolbox: ${line#I: }" ;;
        esac
    done
}

# verify ROOT TEXT COMMAND...: the command, run in the tool box, must print the text. Numbers from
# different versions of a tool do not compare, so it is here that a change must be noticed.
verify() {
    local output
    output="$(chroot "$1" "${@:3}" 2>&1)" || true
    [[ $output == *"$2"* ]] || fail 1 "toolbox: '${*:3}' must print '$2', but printed: $output"
}

# Holds no date, so that a digest of the file identifies the tools; of our own programs their sources,
# since compilers differ.
write_versions() {
    local architecture transact http_load
    transact="$(sha256sum "$images/toolbox/transact.c")"
    http_load="$(cat "$images"/toolbox/{http-load.py,nginx.conf} | sha256sum)"
    architecture="$(chroot "$1" dpkg --print-architecture)"
    # shellcheck disable=SC2016 # The names in braces are dpkg-query's own.
    chroot "$1" dpkg-query --show --showformat='${Package}\t${Version}\n' | python3 -c '
import json, sys
packages = dict(line.split() for line in sys.stdin)
box = {"suite": sys.argv[1], "architecture": sys.argv[2], "packages": packages,
       "programs": {"transact": sys.argv[3], "http-load": sys.argv[4]}}
print(json.dumps(box, indent=2, sort_keys=True))' \
        "$suite" "$architecture" "${transact%% *}" "${http_load%% *}"
}

cache_entry toolbox "$(digest_of "$images"/debian.sh \
    "$images"/toolbox/{packages.txt,build.sh,transact.c,http-load.py,nginx.conf})" build
