#!/usr/bin/env bash
# MkDocs with its theme, which renders docs/, in the cache: one for all clones.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

build() {
    local uv
    uv="$("$images/uv/build.sh")/uv"
    "$uv" venv --quiet --relocatable --python python3 "$1/venv"
    "$uv" pip sync --quiet --require-hashes --python "$1/venv/bin/python" \
        "$images/site/requirements.lock"
}

cache_entry site "$(digest_of "$images/site/requirements.lock" "$images/site/build.sh")" build
