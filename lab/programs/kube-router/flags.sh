# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
version_of=github.com/cloudnativelabs/kube-router/v2
link_flags="-X $version_of/pkg/version.Version={version}"
