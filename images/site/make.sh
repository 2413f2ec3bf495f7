#!/usr/bin/env bash
# Renders docs/ to site/, with the report in a file as its example: REPORT, or the report.html that
# `make demo` and `make lab-demo` write.
set -euo pipefail
source "$(dirname "$0")/../lib.sh"

clone="$(dirname "$images")"
example="$clone/docs/example-report.html"

main() {
    local site
    cd "$clone"
    put_example "${REPORT:-}"
    site="$("$images/site/build.sh")"
    # No part of the site is fetched from elsewhere, so its telemetry banner has no place either.
    NO_MKDOCS_2_WARNING=1 "$site/venv/bin/python" -m mkdocs build --strict --quiet --clean
    log "site/index.html: ready"
}

put_example() {
    local report="${1:-report.html}"
    if [[ -f $report ]]; then
        grep --quiet -- '– cnibench</title>' "$report" ||
            fail 2 "REPORT=$report: is no report of cnibench; write one by \`cnibench report --output $report\`"
        cp -- "$report" "$example"
    elif [[ $1 ]]; then
        fail 2 "REPORT=$report: is no file; write one by \`cnibench report --output $report\`"
    else
        log "no report.html here: \`make demo\` writes one, or give another by REPORT=FILE"
        echo '<!DOCTYPE html><title>No example yet</title><p>This copy was built without results:
<code>make demo &amp;&amp; make site</code> puts a report here.' >"$example"
    fi
}

main
