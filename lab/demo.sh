#!/usr/bin/env bash
# A campaign of every plugin that can run in the lab, by Argo, in the lab that is up; then its answers
# from the store. Called again, it runs what is missing. At the end the same campaign is started from a
# file, as GitOps does: it finds everything measured. Whatever fails, the answers come; the exit status
# tells it.
#   lab/demo.sh [NAME [MATRIX [PLUGINS]]]
# PLUGINS are separated by commas. The report is written to where it is called. CNIBENCH_LAB, as of the
# tests, names another lab that is up: NAME:PORT.
set -euo pipefail
clone="$(cd "$(dirname "$0")/.." && pwd)"
name=${CNIBENCH_LAB:-lab}
lab="/run/cnibench-${name%%:*}"
campaign=${1:-lab-demo}
matrix=${2:-smoke}
plugins=${3:-}
# shellcheck source=/dev/null
source "$lab/mgmt/environment.sh"
PATH="$clone/.tools/lab/bin:$clone/.venv/bin:$PATH"
export PATH

# run_file: the example of a run of the default campaign, for this one. Each has a name of its own: what an
# earlier call has applied would only be found again, with how it ended then.
run_file() {
    local name line="      - {name: matrix, value: $matrix}"
    name="$(date --utc +%Y-%m-%d-%H%M%S)-$campaign"
    [[ ! $plugins ]] || line+="\n      - {name: plugins, value: \"$plugins\"}"
    sed --expression="s/lab-demo/$campaign/" --expression="s/^  name: .*/  name: $name/" \
        --expression="s/^.*{name: matrix, .*/$line/" \
        "$clone/workflows/run-examples/2026-11-27-lab-demo.yaml"
}

# look: the phase of the workflow; how far it is goes to standard error.
look() {
    argo get "$workflow" --output json | python3 -c '
import json, sys

status = json.load(sys.stdin)["status"]
nodes = status.get("nodes", {}).values()
plans = [n for n in nodes if n.get("templateName") == "plan-blocks" and n["type"] == "Pod"]
told = [p for n in plans for p in n.get("outputs", {}).get("parameters", []) if p.get("value")]
planned = sum(len(json.loads(p["value"])) for p in told if p["name"] == "blocks")
blocks = [n for n in nodes if n.get("templateName") == "run-block" and n["type"] == "Retry"]
done = [n for n in blocks if n["phase"] in ("Succeeded", "Failed", "Error")]
now = [n["displayName"] for n in blocks if n["phase"] == "Running"]
print(f"[demo] {len(done)} of {planned} blocks", *now, file=sys.stderr)
print(status.get("phase", ""))'
}

# again: the same campaign as a file.
again() {
    local name
    name="$(run_file | kubectl --kubeconfig "$lab/kubeconfig" --context cnibench-mgmt \
        --namespace argo apply --filename - --output name)" || return
    echo "[demo] the same campaign as a file: $name"
    argo wait "${name#*/}"
}

# All of it is read before any of it runs: a file that is changed meanwhile does not matter.
main() {
    local chosen=() phase='' silent=0 status=0
    [[ ! $plugins ]] || chosen=(--parameter "plugins=$plugins")
    workflow="$(argo submit --from workflowtemplate/cnibench-campaign --output name "${chosen[@]}" \
        --parameter name="$campaign" --parameter matrix="$matrix" --parameter repeats=1)"
    echo "[demo] workflow $workflow; follow it: argo watch $workflow"
    while [[ ! $phase =~ ^(Succeeded|Failed|Error)$ && $silent -lt 20 ]]; do
        sleep 15
        # A server that is just being started anew is no end of the campaign.
        phase="$(look)" && silent=0 || silent=$((silent + 1))
    done
    argo get "$workflow" || status=$?
    if [[ $phase == Succeeded ]]; then
        again || status=$?
    else
        status=1
    fi
    cnibench ask coverage --store s3://cnibench --campaign "$campaign" || status=$?
    cnibench ask fastest-plugin --store s3://cnibench --campaign "$campaign" || status=$?
    cnibench report --store s3://cnibench --campaign "$campaign" --output report.html || status=$?
    exit "$status"
}

main
