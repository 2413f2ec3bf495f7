#!/usr/bin/env bash
# Makes a clone ready on a fresh Debian 12 or 13: Debian packages, .venv and, in .tools, links to
# the tool box, the CNI plugins and uv in the cache, which is $CNIBENCH_CACHE or ~/.cache/cnibench.
# Called again, it does only what a change of its inputs asks for.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

clone="$(dirname "$images")"
venv="$clone/.venv"
debian_packages=(
    ca-certificates debian-archive-keyring debootstrap ethtool gcc gpgv iproute2 iptables libc6-dev
    nftables python3 python3-venv util-linux
)

main() {
    [[ $EUID -eq 0 ]] || fail 2 "network namespaces and the tool box need root: call it with sudo"
    cd "$clone"
    mkdir --parents .tools
    # The second look is for the one who waited while another set-up did the work.
    if is_ready || { lock .tools/lock && is_ready; }; then
        log "ready, nothing to do"
        return
    fi
    check_disk "$clone" "$cache"
    install_debian_packages "${debian_packages[@]}"
    check_python
    make_venv
    link cni-plugins
    link toolbox
    # Last, and inside .venv, so that it goes with it.
    inputs >"$venv/set-up"
    log "ready"
}

# What .venv is bound to: an environment can neither be moved nor change its Python.
identity() {
    python3 -c 'import sys; print(*sys.argv[1:], sys.executable, *sys.version.split())' \
        "$clone" "$cache"
}

# Everything that decides what a finished set-up looks like.
inputs() {
    identity
    digest_of pyproject.toml requirements.lock images/{debian,lib,setup}.sh \
        images/*/{build.sh,*.c,*.py,*.conf,*.lock,go.*,packages.txt}
}

is_ready() {
    [[ -e $venv/set-up && -x $venv/bin/cnibench ]] \
        && [[ -d .tools/cni-plugins/ && -d .tools/toolbox/ && -d .tools/uv/ ]] \
        && [[ "$(inputs)" == "$(<"$venv/set-up")" ]]
}

check_disk() {
    local directory free_kib
    for directory in "$@"; do
        mkdir --parents "$directory"
        free_kib="$(df --output=avail --block-size=1K "$directory" | tail --lines=1)"
        ((free_kib >= 2 * 1024 * 1024)) \
            || fail 2 "$directory has $((free_kib / 1024)) MiB free and needs 2048: make room, or \
set CNIBENCH_CACHE to a folder on another disk"
    done
}

check_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || fail 2 "python3 is $(python3 --version), needed is 3.11: put a newer one first on PATH"
}

make_venv() {
    local uv
    uv="$(images/uv/build.sh)"
    ln --symbolic --force --no-dereference "$uv" .tools/uv
    # One of another Python or of another path, or one whose making was cut short, is made anew.
    if [[ ! -e $venv/set-up || "$(head --lines=1 "$venv/set-up")" != "$(identity)" ]]; then
        log ".venv: creating for $(python3 --version)"
        rm --recursive --force "$venv"
        python3 -m venv --without-pip "$venv"
    fi
    rm --force "$venv/set-up"
    log ".venv: installing the locked packages"
    export VIRTUAL_ENV="$venv"
    "$uv/uv" pip sync --quiet --require-hashes --only-binary :all: requirements.lock
    # The lock holds setuptools, so this needs no network.
    "$uv/uv" pip install --quiet --offline --no-deps --no-build-isolation --editable .
}

link() {
    local entry
    entry="$("images/$1/build.sh")"
    ln --symbolic --force --no-dereference "$entry" ".tools/$1"
}

main
