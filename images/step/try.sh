#!/usr/bin/env bash
# Builds the Dockerfile where there is neither Docker nor a registry, and tries what came out: by
# buildah, on a base that debootstrap makes in the place of the pinned one. Needs root, 5 GB of room
# for a while, and some minutes. Nothing of it stays but the Debian packages.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

work="$(mktemp --directory)"
clone="$(dirname "$images")"
base=localhost/cnibench-base
image=localhost/cnibench-step

main() {
    trap 'rm --recursive --force --one-file-system "$work"' EXIT
    "$images/setup.sh"
    install_debian_packages buildah debootstrap
    make_base
    log "step: building the Dockerfile"
    build --build-arg BASE="$base" --ignorefile "$images/step/Dockerfile.dockerignore" \
        --file "$images/step/Dockerfile" --tag "$image" "$clone"
    log "step: trying the image"
    try
    log "step: the Dockerfile builds, and what it makes runs"
}

# Its images are in the folder of this run, apart from those of the machine's own users.
run_buildah() {
    buildah --root "$work/images" --runroot "$work/run" --storage-driver vfs "$@"
}

build() {
    run_buildah build --quiet --pull-never --isolation chroot --network host "$@" >"$work/log" 2>&1 \
        || fail 1 "step: $(tail --lines=5 "$work/log")"
}

# It trusts what this machine trusts: where a company's proxy answers for the archives, nothing else
# could be fetched.
make_base() {
    local root="$work/base" suite
    log "step: making a base"
    suite="$(sed --quiet 's/^ARG BASE=debian:\(.*\)-slim@.*/\1/p' "$images/step/Dockerfile")"
    "$images/debian.sh" "$suite" ca-certificates "$root" >"$work/log" 2>&1 \
        || fail 1 "step: debootstrap: $(tail --lines=1 "$work/log")"
    csplit --quiet --elide-empty-files --suffix-format=%03d.crt \
        --prefix="$root/usr/local/share/ca-certificates/" "$PIP_CERT" '/BEGIN CERTIFICATE/' '{*}'
    chroot "$root" update-ca-certificates >/dev/null 2>&1
    mkdir --parents "$root/etc/uv"
    echo 'native-tls = true' >"$root/etc/uv/uv.toml"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
    printf 'FROM scratch\nCOPY . /\n' >"$work/Dockerfile"
    build --file "$work/Dockerfile" --tag "$base" "$root"
}

# What a campaign records of the tool box, the version that a store records, and every module of a
# stage.
try() {
    local container version
    container="$(run_buildah from --pull-never "$image")"
    run_inside "$container" cat /cnibench-toolbox.json \
        | cmp - "$clone/.tools/toolbox/cnibench-toolbox.json" \
        || fail 1 "step: its tool box is not that of this clone"
    version="$(run_inside "$container" python -c '
import importlib.metadata
print(importlib.metadata.version("cnibench"))')"
    grep --quiet --line-regexp --fixed-strings "version = \"$version\"" "$clone/pyproject.toml" \
        || fail 1 "step: it says to be version '$version', which pyproject.toml does not"
    run_inside "$container" python -c '
import importlib, os, pathlib
import cnibench.cli
for file in pathlib.Path("steps").glob("*.py"):
    importlib.import_module(f"steps.{file.stem}")
assert os.getuid() == 8737, os.getuid()' || fail 1 "step: its stages do not start"
}

run_inside() {
    run_buildah run --isolation chroot "$@"
}

main
