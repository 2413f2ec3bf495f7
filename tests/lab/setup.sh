#!/usr/bin/env bash
# What the lab's tests need beside the lab: a browser, to look at a report as Argo's UI shows it.
set -euo pipefail
source "$(dirname "$0")/../../images/lib.sh"

install_debian_packages chromium
# And a kernel for nodes that are virtual machines, where their tests are asked for.
if [[ ${CNIBENCH_LAB_MACHINES:-} == 1 ]]; then
    "$(dirname "$0")/../../lab/machine/setup.sh"
fi
