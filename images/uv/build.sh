#!/usr/bin/env bash
# uv, which installs the locked Python packages in seconds, in the cache: one for all clones.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

build() {
    # A virtual environment just to have pip: Debian's python3 comes without.
    python3 -m venv "$1/venv"
    "$1/venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: \
        --requirement "$images/uv/requirements.lock"
    mv "$1/venv/bin/uv" "$1/uv"
    rm --recursive "$1/venv"
    "$1/uv" --version
}

cache_entry uv "$(digest_of "$images/uv/requirements.lock" "$images/uv/build.sh")" build
