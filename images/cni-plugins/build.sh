#!/usr/bin/env bash
# The reference CNI plugins, compiled into the cache. Which ones and which version, go.mod says;
# go.sum pins the sources.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

module="$images/cni-plugins"
# The pinned toolchain and the pinned sources only: no other toolchain is fetched, and neither
# go.mod nor go.sum is edited.
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0
unset GOROOT

build() {
    local go tools version package packages done=0
    go="$("$images/go/build.sh")/go/bin/go"
    cd "$module"
    version="$("$go" list -m -f '{{.Version}}' github.com/containernetworking/plugins)"
    # Sorted, since Go lists them in any order.
    tools="$("$go" list tool | LC_ALL=C sort)"
    mapfile -t packages <<<"$tools"
    for package in "${packages[@]}"; do
        log "cni-plugins: ${package##*/} $version ($((done += 1)) of ${#packages[@]})"
        # As released programs do, they tell their version.
        "$go" build -trimpath -o "$1/" -ldflags "-s -w -X \
github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=$version" "$package"
    done
}

cache_entry cni-plugins \
    "$(digest_of "$module"/{go.mod,go.sum,build.sh} "$images/go/requirements.lock")" build
