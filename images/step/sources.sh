#!/usr/bin/env bash
# Writes the project's own part of the step image as a tar archive, which has the same bytes whenever
# the files have. Which folders, the Dockerfile says: those that it copies to the same place.
set -euo pipefail
folder="$(cd "$(dirname "$0")" && pwd)"
mapfile -t sources < <(sed --quiet --regexp-extended 's/^COPY (\S+) \1$/\1/p' "$folder/Dockerfile")
exec tar --create --directory="$folder/../.." --sort=name --mtime=@0 --owner=0 --group=0 \
    --numeric-owner --mode=u=rwX,go=rX --exclude=__pycache__ "${sources[@]}"
