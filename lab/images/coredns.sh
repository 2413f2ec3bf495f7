# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
families=(coredns)
references=("registry.k8s.io/coredns/coredns:$(version coredns github.com/coredns/coredns)")
base=scratch
entrypoint=(/coredns)

fill() {
    copy coredns "$1"
}
