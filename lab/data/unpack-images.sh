#!/usr/bin/env bash
# unpack-images.sh FOLDER CONTAINERD CTR CONFIGURATION ARCHIVE...
# Imports archives of images into a containerd whose data are in FOLDER/data, and removes from it the
# images that FOLDER/removed names. It is to be run in mount and process namespaces of its own, which
# end with it.
set -euo pipefail

folder=$1 containerd=$2 ctr=$3 configuration=$4
shift 4
socket="$folder/state/containerd.sock"

"$containerd" --config "$configuration" --root "$folder/data" --state "$folder/state" \
    --address "$socket" >"$folder/containerd.log" 2>&1 &
running=$!
while [[ ! -S $socket ]]; do
    kill -0 "$running" || { tail --lines=5 "$folder/containerd.log" >&2 && exit 1; }
    sleep 0.05
done
images=("$ctr" --address "$socket" --namespace k8s.io images)
# Two at a time: unpacking keeps a processor busy.
printf '%s\n' "$@" | xargs --no-run-if-empty --delimiter='\n' --max-args=1 --max-procs=2 \
    "${images[@]}" import --local >"$folder/import.log"
# Afterwards, since what it shares with the new ones stays then.
xargs --no-run-if-empty "${images[@]}" remove --sync <"$folder/removed" >"$folder/remove.log"
kill "$running"
wait "$running" || true
