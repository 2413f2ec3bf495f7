#!/usr/bin/env bash
# build.sh NAME makes the image of lab/images/NAME.sh in the cache: image.tar at the printed path,
# to be imported into containerd, and references, the names it then has. No registry, no daemon: an
# image is a layer over the tool box, or over nothing, put together from files that are here.
set -euo pipefail
folder="$(cd "$(dirname "$0")" && pwd)"
source "$folder/../../images/lib.sh"

programs="$folder/../programs"
image=${1:?usage: build.sh NAME}
[[ -f $folder/$image.sh ]] || fail 2 "$folder has no image called $image"
umask 022

# version_in FILE MODULE prints the version that a go.mod requires.
version_in() {
    awk -v module="$2" '{ sub(/^require /, "") } $1 == module && $2 ~ /^v/ { print $2; exit }' "$1"
}

# version FAMILY MODULE, for a family of lab/programs.
version() {
    version_in "$programs/$1/go.mod" "$2"
}

# copy FAMILY FOLDER puts the family's programs there.
copy() {
    install -D --target-directory="$2" "${program_entries[$1]}"/bin/*
}

# unpack PACKAGE ROOT PATH takes one path out of a Debian package named in archives.
unpack() {
    dpkg-deb --fsys-tarfile "$2"/archives/"$1"_*.deb | tar --extract --directory="$2" "$3"
}

# What NAME.sh sets. references are whole names, with registry and tag, since containerd looks for
# those whatever a pod leaves out; packages are installed over the base; archives are Debian packages
# that are fetched only, for unpack; lower are cache entries with a layer.tar each, which lie between
# the base and what fill makes.
families=() references=() base=toolbox lower=() packages=() archives=()
entrypoint=() environment=() user="" directory=/
toolbox="$("$images/toolbox/build.sh")"
reference_plugins="$("$images/cni-plugins/build.sh")"
# shellcheck source=/dev/null
source "$folder/$image.sh"

declare -A program_entries=()
for family in "${families[@]}"; do
    program_entries[$family]="$("$programs/build.sh" "$family")"
done

# The tool box as a layer: one file for all images, and so one digest.
build_base() {
    log "tool box: writing it as the layer that images share"
    # A container gets these three folders from the machine it runs on.
    tar --create --file="$1/layer.tar" --directory="$toolbox" --sort=name --numeric-owner \
        --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' .
}

build() {
    local root="$1/root" entry layers=()
    mkdir "$root"
    if ((${#packages[@]} + ${#archives[@]})); then
        log "image $image: installing ${packages[*]}, fetching ${archives[*]}"
        "$folder/install.sh" "$toolbox" "$1" "${packages[*]}" "${archives[*]}"
    fi
    fill "$root"
    rm --recursive --force "$root/archives"
    log "image $image: writing the archive"
    if [[ $base == toolbox ]]; then
        layers+=(--layer "$base_entry/layer.tar")
    fi
    for entry in "${lower[@]}"; do
        layers+=(--layer "$entry/layer.tar")
    done
    if [[ -n "$(ls --almost-all "$root")" ]]; then
        tar --create --file="$1/layer.tar" --directory="$root" --sort=name --numeric-owner .
        layers+=(--layer "$1/layer.tar")
    fi
    python3 "$folder/archive.py" "$1/image.tar" "${layers[@]}" \
        "${references[@]/#/--reference=}" "${entrypoint[@]/#/--entrypoint=}" \
        "${environment[@]/#/--environment=}" --user="$user" --directory="$directory"
    rm --recursive --force "$root" "$1/layer.tar"
    printf '%s\n' "${references[@]}" >"$1/references"
}

base_entry="$(cache_entry image-base "${toolbox##*/}" build_base)"
# Which builds are inside decides what is built here, by their keys.
cache_entry "image-$image" "$(digest_of "$folder"/{"$image".sh,build.sh,install.sh,archive.py} \
    <(printf '%s\n' "${base_entry##*/}" "${program_entries[@]##*/}" "${reference_plugins##*/}" \
        "${lower[@]##*/}" "${references[@]}"))" build
