#!/usr/bin/env bash
# Process 1 of a running node: keeps containerd, kubelet and kube-proxy alive, and reaps what others
# leave behind, as bash does by itself. When it ends, the kernel ends all that is in the node.
set -uo pipefail

socket=/run/containerd/containerd.sock

main() {
    ulimit -n 1048576 2>/dev/null || true
    supervise containerd &
    while [[ ! -S $socket ]]; do sleep 0.05; done
    supervise kubelet --config=/etc/kubernetes/kubelet.yaml \
        --kubeconfig=/etc/kubernetes/kubelet.kubeconfig \
        --hostname-override="$NODE_NAME" --node-ip="$NODE_ADDRESS" \
        ${NODE_LABELS:+--node-labels="$NODE_LABELS"} &
    supervise kube-proxy --config=/etc/kubernetes/kube-proxy.yaml &
    while :; do wait; sleep 1; done
}

# A program that has a file PROGRAM.off is left out: some plugins do kube-proxy's work themselves.
supervise() {
    local program=$1
    while :; do
        if [[ ! -e /etc/kubernetes/$program.off ]]; then
            "$@" >>"/var/log/$program.log" 2>&1
            printf 'ended with status %s\n' "$?" >>"/var/log/$program.log"
        fi
        sleep 1
    done
}

main
