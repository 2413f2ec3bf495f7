# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# The manifest names no tag, which means latest.
families=(kube-router)
release="$(version kube-router github.com/cloudnativelabs/kube-router/v2)"
references=(docker.io/cloudnativelabs/kube-router:{latest,"$release"})
entrypoint=(/usr/local/bin/kube-router)

fill() {
    local source
    source="$("$programs/source.sh" kube-router github.com/cloudnativelabs/kube-router/v2)"
    copy kube-router "$1/usr/local/bin"
    install -D --target-directory="$1/usr/local/bin" "$source/build/image-assets/cni-install"
    install -D --target-directory="$1/usr/libexec/cni" \
        "$reference_plugins"/{bridge,host-local,loopback,portmap}
}
