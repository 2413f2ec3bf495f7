# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
version_of=github.com/cilium/cilium
names=(
    ["$version_of/cilium-health/responder"]=cilium-health-responder
    ["$version_of/daemon"]=cilium-agent
    ["$version_of/tools/mount"]=cilium-mount
    ["$version_of/tools/sysctlfix"]=cilium-sysctlfix
)
tags=osusergo
# It expects a revision and a date behind the number, which a module does not have.
link_flags="-X '$version_of/pkg/version.ciliumVersion={number} module 1970-01-01T00:00:00Z'"
