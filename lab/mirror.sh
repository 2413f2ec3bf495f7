#!/usr/bin/env bash
# Prints the folder with all that mirror.txt names, each below a number of its own. It is kept in the
# cache, so that a new clone needs no sources of modules.
set -euo pipefail
lab="$(cd "$(dirname "$0")" && pwd)"
source "$lab/../images/lib.sh"

collect() {
    local family module path number=0
    while read -r family module path; do
        number=$((number + 1))
        mkdir "$1/$number"
        cp --recursive --no-preserve=mode \
            "$("$lab/programs/source.sh" "$family" "$module")/$path" "$1/$number/"
    done < <(grep --invert-match '^#' "$lab/mirror.txt")
}

cache_entry mirror "$(digest_of "$lab/mirror.txt" "$lab"/programs/*/go.{mod,sum})" collect
