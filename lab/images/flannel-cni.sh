# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# The name is the one in flannel's manifest, and later than the program: the project's own
# repository of the plugin is not to be had from the module proxy, its last version elsewhere is.
families=(flannel-cni)
references=(ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3)

fill() {
    copy flannel-cni "$1"
}
