# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# Beside each stage: lays itself down there, runs it, and reports what came out. It is the variant
# of the release that is not root.
families=(argo)
references=("quay.io/argoproj/argoexec:$(version argo github.com/argoproj/argo-workflows/v3)")
base=scratch
user=8737
entrypoint=(/bin/argoexec)

fill() {
    # It keeps there what it is told to create.
    mkdir --mode=1777 "$1/tmp"
    install -D --target-directory="$1/bin" "${program_entries[argo]}/bin/argoexec"
}
