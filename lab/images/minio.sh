# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
families=(minio)
references=("quay.io/minio/minio:$(version minio github.com/minio/minio)")
base=scratch
entrypoint=(/bin/minio)

fill() {
    copy minio "$1/bin"
}
