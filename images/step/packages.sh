#!/usr/bin/env bash
# packages.sh UV FOLDER DIRECTORY installs what the project needs to run into DIRECTORY, in the
# versions and with the digests of the lock in FOLDER, and for the tool box's Python.
set -euo pipefail
exec "$1" pip install --quiet --target "$3" --python-version 3.13 --only-binary :all: \
    --require-hashes --constraints "$2/requirements.lock" --requirements "$2/pyproject.toml"
