# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
version_of=github.com/flannel-io/flannel
names=(["$version_of"]=flanneld ["$version_of/cmd/install_conf"]=install-conf)
# One of its back ends is written in C. Static, since the image has another Debian than the machine.
export CGO_ENABLED=1
tags=netgo,osusergo
link_flags="-X $version_of/pkg/version.Version={version} -extldflags -static"
