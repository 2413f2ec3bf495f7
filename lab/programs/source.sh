#!/usr/bin/env bash
# source.sh FAMILY MODULE prints the folder with the sources of a module that the family's go.mod
# requires; they are fetched when they are not here, and go.sum says what they must be.
set -euo pipefail
programs="$(cd "$(dirname "$0")" && pwd)"
source "$programs/../../images/lib.sh"

export GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOWORK=off
unset GOROOT
go="$("$images/go/build.sh")/go/bin/go"
cd "$programs/$1"
"$go" mod download "$2"
"$go" list -m -f '{{.Dir}}' "$2"
