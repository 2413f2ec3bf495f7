# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# The image of every stage: tool box, locked Python packages, and the project itself, which is a small
# layer of its own. Its tag is made of its content, so a lab that is up takes a changed one for new.
clone="$(cd "$folder/../.." && pwd)"
site=usr/local/lib/python3.13/dist-packages
mirror="$("$clone/lab/mirror.sh")"

# told INSTRUCTION prints what the Dockerfile says by it.
told() {
    sed --quiet "s/^$1 //p" "$images/step/Dockerfile"
}

build_packages() {
    local uv
    uv="$("$images/uv/build.sh")"
    log "step: installing the locked Python packages"
    "$images/step/packages.sh" "$uv/uv" "$clone" "$1/root/$site"
    # One package has a library of 80 MB three times, since no package can have links.
    hardlink --quiet --ignore-time "$1/root"
    precompile "$1/root"
    tar --create --file="$1/layer.tar" --directory="$1/root" --sort=name --mtime=@0 --owner=0 \
        --group=0 --numeric-owner .
    rm --recursive "$1/root"
}

# precompile ROOT: every pod would have to compile it before anything else. The tool box's own Python
# does it, in mount namespaces of its own; it needs semaphores for several processes.
precompile() {
    # shellcheck disable=SC2016 # It is the inner shell that expands them.
    unshare --mount -- sh -ec '
        mount --bind "$2" "$1/mnt" && mount --bind /dev/shm "$1/dev/shm"
        exec chroot "$1" python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
            -s /mnt -p / /mnt
    ' precompile "$toolbox" "$1" || fail 1 "step: Python cannot compile what is in the image"
}

lower=("$(cache_entry step-packages "$(digest_of "$clone"/{pyproject.toml,requirements.lock} \
    "$images"/{step/packages.sh,uv/requirements.lock} "$folder/step.sh" <(echo "${toolbox##*/}"))" \
    build_packages)")
content="$(digest_of "$folder/step.sh" "$images/step/Dockerfile" <("$images/step/sources.sh") \
    <(printf '%s\n' "${toolbox##*/}" "${lower[0]##*/}" "${mirror##*/}"))"
references=("docker.io/cnibench/step:$content")
mapfile -t environment < <(told ENV)
user="$(told USER)"
directory="$(told WORKDIR)"

fill() {
    local share="$1/usr/share/cnibench"
    mkdir --parents "$1/$directory" "$1/$site" "$1/usr/local/bin" "$share/tools"
    "$images/step/sources.sh" | tar --extract --directory="$1/$directory"
    precompile "$1"
    (cd "$clone" && CNIBENCH_MIRROR="$share/mirror" .venv/bin/python -m steps.lib.sources \
        add "$mirror"/*/* >/dev/null)
    ln --symbolic / "$share/tools/toolbox"
    ln --symbolic /usr/bin/python3 "$1/usr/local/bin/python"
}
