"""How often iperf3 does not report the last interval that it was to omit (``--omit``).

Client and server over loopback in a network namespace, at 8 Mbit/s: many runs, of two measured
seconds each, by the number of seconds omitted. There is no aim: it is what one has to reckon with.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from steps.lib import tools

AT_ONCE = 10
SCRIPT = """
iperf3 --server --one-off --json >/dev/null & until ss -Hltn | grep -q :5201; do sleep 0.05; done
iperf3 --client 127.0.0.1 --time 2 --omit {omit_s} --interval 1 --bitrate 8M --json \
--get-server-output; wait
"""


def run(omit_s: int) -> Mapping[str, Any]:
    """One run's document."""
    inside = f"ip link set lo up; exec chroot {tools.toolbox()} sh -c '{SCRIPT}'"
    command = ["unshare", "--net", "sh", "-c", inside.replace("{omit_s}", str(omit_s))]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    return dict(json.loads(done.stdout))


def reported(side: Mapping[str, Any]) -> int:
    """Omitted intervals that a side's document has."""
    return sum(bool(interval["sum"]["omitted"]) for interval in side["intervals"])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="for each number of seconds")
    runs = parser.parse_args().runs
    for omit_s in (1, 2, 3):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(run, [omit_s] * runs))
        lacking = [
            [reported(side) < omit_s for side in (each, each["server_output_json"])]
            for each in found
        ]
        client, server = (sum(column) / runs for column in zip(*lacking, strict=True))
        sys.stdout.write(
            f"omission: {omit_s} s omitted, {runs} runs: the last omitted interval is missing in "
            f"{client:.0%} of the client's documents, in {server:.0%} of the server's, in "
            f"{sum(map(any, lacking)) / runs:.0%} of one or the other\n"
        )


if __name__ == "__main__":
    main()
