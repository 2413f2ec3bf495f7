#!/usr/bin/env bash
# build.sh FAMILY compiles the programs of lab/programs/FAMILY into the cache, as bin/PROGRAM of the
# printed path. Which programs and versions, its go.mod says; go.sum pins the sources. Its flags.sh
# says what the project's own release says by flags: build tags, and the version the programs tell.
# Where the archive of a module lacks what its repository has, flags.sh adds it to a copy.
set -euo pipefail
programs="$(cd "$(dirname "$0")" && pwd)"
source "$programs/../../images/lib.sh"

family=${1:?usage: build.sh FAMILY}
module="$programs/$family"
[[ -f $module/go.mod ]] || fail 2 "$programs has no family of programs called $family"
# The pinned toolchain and the pinned sources only: no other toolchain is fetched, and neither
# go.mod nor go.sum is edited.
export GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false -trimpath" GOWORK=off CGO_ENABLED=0
unset GOROOT
# A compiler that collects no garbage is faster; it does so from 2 GiB on, and there is one for each CPU.
export GOGC=off GOMEMLIMIT=2GiB

# What flags.sh sets: the module whose version the programs tell, build tags, arguments of the
# linker, and the names of programs that are not the last word of their package. It may have a function
# complete_sources DIRECTORY, which completes a copy of the sources of version_of.
version_of="" tags="" link_flags=""
declare -A names=()
# shellcheck source=/dev/null
source "$module/flags.sh"

build() {
    local target=$1 go tools packages package version done=0
    go="$("$images/go/build.sh")/go/bin/go"
    cd "$module"
    version="$("$go" list -m -f '{{.Version}}' "$version_of")"
    # The repository's own programs have none.
    version="${version:-local}"
    tell_version "$version"
    log "$family: fetching the sources of $version_of $version"
    if declare -F complete_sources >/dev/null; then
        build_from_copy "$target/sources"
    fi
    # Sorted, since Go lists them in any order.
    tools="$("$go" list tool | LC_ALL=C sort)"
    mapfile -t packages <<<"$tools"
    for package in "${packages[@]}"; do
        compile "$package" "${names[$package]:-${package##*/}}" "$((done += 1)) of ${#packages[@]}"
    done
    rm --recursive --force "$target"/sources{,.mod,.sum}
}

# build_from_copy DIRECTORY has the programs compiled from a completed copy of the module, whose
# archive was verified like all others. Called by build and with its variables.
build_from_copy() {
    local source
    "$go" mod download "$version_of"
    source="$("$go" list -m -f '{{.Dir}}' "$version_of")"
    cp --recursive --no-preserve=mode "$source" "$1"
    complete_sources "$1"
    cp go.mod "$1.mod"
    cp go.sum "$1.sum"
    "$go" mod edit -replace="$version_of=$1" "$1.mod"
    GOFLAGS+=" -modfile=$1.mod"
}

# tell_version v1.36.4 puts it into link_flags: {version} whole, {number} 1.36.4, {major}, {minor}.
tell_version() {
    local number=${1#v} rest=${1#*.}
    link_flags=${link_flags//\{version\}/$1}
    link_flags=${link_flags//\{number\}/$number}
    link_flags=${link_flags//\{major\}/${number%%.*}}
    link_flags=${link_flags//\{minor\}/${rest%%.*}}
}

# compile PACKAGE PROGRAM "1 of 6", called by build and with its variables.
compile() {
    local log_file="$cache/programs-$family/build.log"
    log "$family: $2 $version ($3): compiling"
    "$go" build -v -tags "$tags" -ldflags "-s -w $link_flags" -o "$target/bin/$2" "$1" 2>&1 \
        | tee "$log_file" | show_progress "$2" "$3" \
        || fail 1 "$family: $2 does not compile, see $log_file: $(tail --lines=1 "$log_file")"
}

# A line every 15 seconds: `go build -v` names each package that it compiles.
show_progress() {
    local line fetched=0 compiled=0 shown=$EPOCHSECONDS
    while read -r line; do
        case $line in
            "go: downloading "*) fetched=$((fetched + 1)) ;;
            *) compiled=$((compiled + 1)) ;;
        esac
        if ((EPOCHSECONDS - shown >= 15)); then
            shown=$EPOCHSECONDS
            log "$family: $1 ($2): $compiled packages compiled, $fetched modules fetched"
        fi
    done
}

cache_entry "programs-$family" \
    "$(digest_of "$module"/* "$programs/build.sh" "$images/go/requirements.lock")" build
