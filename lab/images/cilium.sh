# shellcheck shell=bash disable=SC2034,SC2154 # For build.sh, which sources this file.
# All containers of the agent's DaemonSet use this one image. Its agent compiles programs for the
# kernel, from sources in the image, with clang; of that package just the compiler is taken, since
# its other files and dependencies are five times as large and never used.
families=(cilium)
references=("quay.io/cilium/cilium:$(version cilium github.com/cilium/cilium)")
entrypoint=(/usr/bin/cilium-dbg)
packages=(kmod libclang-cpp19)
archives=(clang-19)

fill() {
    local source
    source="$("$programs/source.sh" cilium github.com/cilium/cilium)"
    unpack clang-19 "$1" ./usr/lib/llvm-19/bin/clang
    mkdir --parents "$1"/{usr/local/bin,opt/cni/bin,var/lib/cilium}
    ln --symbolic ../../lib/llvm-19/bin/clang "$1/usr/local/bin/clang"
    copy cilium "$1/usr/bin"
    mv "$1/usr/bin/cilium-cni" "$1/opt/cni/bin/"
    install -D --target-directory="$1/cni" "$reference_plugins/loopback"
    cp --recursive --no-preserve=mode "$source/bpf" "$1/var/lib/cilium/"
    install --target-directory="$1" "$source/images/cilium/init-container.sh" \
        "$source"/plugins/cilium-cni/{install-plugin,cni-uninstall}.sh
}
