#!/usr/bin/env bash
# Renders docs/ to site/, with the report of the latest campaign of the store as its example.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

clone="$(dirname "$images")"
example="$clone/docs/example-report.html"

main() {
    local site
    site="$("$images/site/build.sh")"
    cd "$clone"
    if ! .venv/bin/cnibench report --output "$example"; then
        log "no report of a real campaign: \`make demo\`, or CNIBENCH_STORE, and then again"
        echo '<!DOCTYPE html><title>No example yet</title><p>This copy was built without results:
<code>make demo &amp;&amp; make site</code> puts a report here.' >"$example"
    fi
    # No part of the site is fetched from elsewhere, so its telemetry banner has no place either.
    NO_MKDOCS_2_WARNING=1 "$site/venv/bin/python" -m mkdocs build --strict --quiet --clean
    log "site/index.html: ready"
}

main
