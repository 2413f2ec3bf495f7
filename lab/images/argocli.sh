# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# The name is that of the server's image.
families=(argo)
references=("quay.io/argoproj/argocli:$(version argo github.com/argoproj/argo-workflows/v3)")
base=scratch
user=8737
entrypoint=(/bin/argo)

fill() {
    install -D --target-directory="$1/bin" "${program_entries[argo]}/bin/argo"
}
