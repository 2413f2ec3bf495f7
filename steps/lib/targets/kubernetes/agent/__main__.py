"""Serve requests until standard input is closed."""

import sys

from steps.lib.targets.kubernetes.agent.calls import CALLS
from steps.lib.targets.kubernetes.agent.server import serve

serve(sys.stdin.buffer, sys.stdout.buffer, CALLS)
