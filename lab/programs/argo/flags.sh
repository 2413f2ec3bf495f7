# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
version_of=github.com/argoproj/argo-workflows/v3
# The controller also takes the tag of the executor's image from it.
link_flags="-X $version_of.version={version} -X $version_of.gitTag={version}"
link_flags+=" -X $version_of.gitTreeState=clean -X $version_of.gitCommit=module"

# What its repository has and the archive of its module has not: a symbolic link, and the pages of
# the user interface, which are built by a program of another ecosystem.
complete_sources() {
    cp "$1"/workflow/executor/osspecific/signal_{darwin,linux}.go
    mkdir --parents "$1/ui/dist/app"
    printf '<!doctype html><title>Argo</title><p>The API is here; its pages are not built.\n' \
        >"$1/ui/dist/app/index.html"
}
