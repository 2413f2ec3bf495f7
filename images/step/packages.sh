#!/usr/bin/env bash
# packages.sh UV FOLDER DIRECTORY installs what the project needs to run into DIRECTORY, in the
# versions and with the digests of the lock in FOLDER, and for the tool box's Python. Of the project
# itself, whose files come later, there is the version: stores record it as that of their maker.
set -euo pipefail
"$1" pip install --quiet --target "$3" --python-version 3.13 --only-binary :all: \
    --require-hashes --constraints "$2/requirements.lock" --requirements "$2/pyproject.toml"
version="$(sed --quiet 's/^version = "\(.*\)"$/\1/p' "$2/pyproject.toml")"
mkdir "$3/cnibench-$version.dist-info"
printf 'Metadata-Version: 2.1\nName: cnibench\nVersion: %s\n' "$version" \
    >"$3/cnibench-$version.dist-info/METADATA"
