# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
families=(flannel)
references=("ghcr.io/flannel-io/flannel:$(version flannel github.com/flannel-io/flannel)")
entrypoint=(/opt/bin/flanneld)

fill() {
    copy flannel "$1/opt/bin"
}
