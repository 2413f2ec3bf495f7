#!/usr/bin/env bash
# Makes a clone ready for the throw-away clusters, after images/setup.sh: Debian packages; in
# .tools/lab the programs of a cluster, the images of its pods and Argo's manifests, as links into
# the cache; in .tools/mirror the manifests and charts of the plugins that run there. Called again, it
# does only what a change of its inputs asks for.
set -euo pipefail
source "$(dirname "$0")/../images/lib.sh"

clone="$(dirname "$images")"
debian_packages=(openssl runc)
# In this order, so that a cluster can be started while the others are compiled.
families=(containerd etcd kubernetes argo minio)
pod_images=(
    pause toolbox cni-plugins coredns flannel flannel-cni kube-router cilium
    workflow-controller argoexec argocli minio step
)

main() {
    "$images/setup.sh"
    cd "$clone"
    mkdir --parents .tools/lab/{bin,images} .tools/mirror
    if is_ready || { lock .tools/lab/lock && is_ready; }; then
        log "lab: ready, nothing to do"
        return
    fi
    rm --force .tools/lab/set-up
    if [[ -n "$(families_to_compile)" ]]; then
        # Before half an hour of compiling.
        .venv/bin/python -m lab check
        check_disk
    fi
    install_debian_packages "${debian_packages[@]}"
    for family in "${families[@]}"; do
        link_programs "$family"
    done
    for image in "${pod_images[@]}"; do
        link_image "$image"
    done
    list_images
    fill_mirror
    link_manifests
    remove_dead_links
    inputs >.tools/lab/set-up
    log "lab: ready"
}

# Everything that decides what a finished set-up looks like.
inputs() {
    printf '%s\n' "$cache"
    digest_of .tools/toolbox/cnibench-toolbox.json lab/*.sh lab/mirror.txt lab/images/* \
        lab/programs/*.sh lab/programs/*/* images/lib.sh images/step/* requirements.lock \
        images/*/{build.sh,*.c,*.lock,go.*,packages.txt} <(images/step/sources.sh)
}

is_ready() {
    [[ -e .tools/lab/set-up && -z "$(find .tools/lab/ -xtype l)" ]] \
        && [[ "$(inputs)" == "$(<.tools/lab/set-up)" ]] && is_mirrored
}

# Every line of the file is "DIGEST PLACE".
is_mirrored() {
    local place
    while read -r _ place; do
        [[ -e $place ]] || return 1
    done <.tools/lab/mirrored
}

families_to_compile() {
    local family key
    for family in lab/programs/*/; do
        # The key that build.sh gives it.
        key="$(digest_of "$family"* lab/programs/build.sh images/go/requirements.lock)"
        [[ -d $cache/programs-$(basename "$family")/$key ]] || basename "$family"
    done
}

# A first build leaves 12 GB in the cache, and 14 GB in Go's own caches, which may be elsewhere. Later
# ones leave as much less as families of programs are in the cache already.
check_disk() {
    local free_gib needed_gib
    needed_gib=$((2 * $(families_to_compile | wc --lines)))
    free_gib=$(($(df --output=avail --block-size=1G "$cache" | tail --lines=1)))
    ((free_gib >= needed_gib + 4)) \
        || fail 2 "$cache has $free_gib GiB free and building needs $((needed_gib + 4)): make room, \
or set CNIBENCH_CACHE to a folder on another disk"
}

link_programs() {
    local entry
    entry="$(lab/programs/build.sh "$1")"
    ln --symbolic --force --no-dereference --target-directory=.tools/lab/bin "$entry"/bin/*
}

link_image() {
    local entry
    entry="$(lab/images/build.sh "$1")"
    touch "$entry"
    forget_unused "$(dirname "$entry")"
    ln --symbolic --force --no-dereference "$entry/image.tar" ".tools/lab/images/$1.tar"
    cp "$entry/references" ".tools/lab/images/$1.references"
}

# Each change of the code makes another image of a gigabyte: those that no clone asked for in a day go.
# Where one was still linked, set-up makes it again.
forget_unused() {
    find "$1" -mindepth 1 -maxdepth 1 -type d -mtime +0 -exec rm --recursive --one-file-system {} +
}

# images.json says which file has the image of a name.
list_images() {
    local image
    for image in "${pod_images[@]}"; do
        sed "s|\$| $image.tar|" ".tools/lab/images/$image.references"
    done | python3 -c '
import json, sys
print(json.dumps(dict(line.split() for line in sys.stdin), indent=2))' >.tools/lab/images.json
}

fill_mirror() {
    local entry
    entry="$(lab/mirror.sh)"
    log "lab: filling the mirror of manifests"
    .venv/bin/python -m steps.lib.sources add "$entry"/*/* >.tools/lab/mirrored
}

# Argo's own manifests, which `up` applies. They are no plugin's, so the mirror does without them.
link_manifests() {
    local key entry
    key="$(digest_of lab/programs/argo/go.{mod,sum} lab/setup.sh)"
    entry="$(cache_entry argo-manifests "$key" collect_argo)"
    ln --symbolic --force --no-dereference "$entry" .tools/lab/argo-manifests
}

# The definitions of its kinds are 8 MB, which takes kustomize seconds, so that is done here. By their
# annotation `up` sees that a cluster has these already.
collect_argo() {
    cp --recursive --no-preserve=mode \
        "$(lab/programs/source.sh argo github.com/argoproj/argo-workflows/v3)/manifests" "$1/"
    printf '%s\n' "resources: [manifests/base/crds/full]" \
        "commonAnnotations: {cnibench/manifests: '$key'}" >"$1/kustomization.yaml"
    .tools/lab/bin/kubectl kustomize "$1" >"$1/definitions.yaml"
}

# What an earlier version of this clone had and this one has not.
remove_dead_links() {
    local file name
    find .tools/lab/ -xtype l -delete
    for file in .tools/lab/images/*; do
        name="${file##*/}"
        [[ " ${pod_images[*]} " == *" ${name%.*} "* ]] || rm --force "$file"
    done
}

main
