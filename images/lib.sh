# shellcheck shell=bash
# Sourced by images/setup.sh and every images/*/build.sh: progress lines, and the cache of finished
# builds.
#
# A build script prints the path of its finished cache entry on standard output and nothing else
# there; progress goes to standard error. So they compose: go="$(images/go/build.sh)".

# Without it, a command that fails inside $(...) does not stop the script.
shopt -s inherit_errexit

# shellcheck disable=SC2034 # For those who source this file.
images="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${CNIBENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cnibench}"
# Exported by whoever starts first, so that all lines of one set-up count the same seconds.
export CNIBENCH_SETUP_STARTED="${CNIBENCH_SETUP_STARTED:-$EPOCHSECONDS}"
# pip and uv trust what the machine trusts, not lists of their own: a company's proxy then works.
export PIP_CERT="${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" PIP_DISABLE_PIP_VERSION_CHECK=1
export UV_SYSTEM_CERTS=true UV_CACHE_DIR="${UV_CACHE_DIR:-$cache/uv-downloads}"

log() {
    printf '[set-up] %4ds  %s\n' "$((EPOCHSECONDS - CNIBENCH_SETUP_STARTED))" "$*" >&2
}

# fail STATUS MESSAGE ends the set-up. Status 2 says that the machine or the call must be changed.
fail() {
    log "error: $2"
    exit "$1"
}

# lock FILE waits until nobody else holds it. It is held until this process and all that it started
# have ended: a build that outlives its killed script still keeps others out.
lock() {
    local descriptor
    mkdir --parents "$(dirname "$1")"
    exec {descriptor}>"$1"
    if ! flock --nonblock "$descriptor"; then
        log "waiting for another set-up, which holds $1"
        flock "$descriptor"
    fi
}

# install_debian_packages NAME... installs those that are not there. In a shell of its own, so that a
# set-up which then compiles for half an hour lets others install meanwhile.
install_debian_packages() (
    package="" missing=()
    for package in "$@"; do
        dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null \
            | grep --quiet --line-regexp installed || missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then
        exit
    fi
    lock "$cache/apt.lock"
    log "installing Debian packages: ${missing[*]}"
    # Old lists name files that the archive no longer has. One broken source among others is no
    # reason to stop.
    apt-get --quiet=2 update || log "apt-get update failed: trying with the lists that are here"
    DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 --yes --no-install-recommends \
        --option DPkg::Lock::Timeout=300 install "${missing[@]}" >/dev/null \
        || fail 1 "apt-get could not install: ${missing[*]}"
)

# digest_of FILE... prints a short digest of their contents and the machine's architecture.
digest_of() {
    { uname --machine && cat "$@"; } | sha256sum | cut --characters=1-16
}

# cache_entry NAME KEY BUILD prints the path of the entry NAME/KEY; when there is none, BUILD makes
# it in the directory it is given. An entry appears by one rename and so is complete: a killed build
# leaves just a temporary directory, which the next one removes.
cache_entry() {
    local name=$1 key=$2 build=$3
    local entry="$cache/$name/$key" temporary="$cache/$name/.building"
    if [[ ! -d $entry ]]; then
        lock "$cache/$name.lock"
    fi
    # Looked at again: whoever held the lock has probably made it.
    if [[ ! -d $entry ]]; then
        rm --recursive --force --one-file-system "$temporary"
        mkdir --parents "$temporary"
        log "$name: building"
        "$build" "$temporary" >&2
        mv --no-target-directory "$temporary" "$entry"
        log "$name: ready"
    fi
    printf '%s\n' "$entry"
}
