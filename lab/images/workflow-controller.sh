# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
families=(argo)
references=("quay.io/argoproj/workflow-controller:$(version argo github.com/argoproj/argo-workflows/v3)")
base=scratch
user=8737
entrypoint=(/bin/workflow-controller)

fill() {
    install -D --target-directory="$1/bin" "${program_entries[argo]}/bin/workflow-controller"
}
