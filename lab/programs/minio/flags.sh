# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
version_of=github.com/minio/minio
