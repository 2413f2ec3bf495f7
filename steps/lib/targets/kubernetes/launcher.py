"""What runs in a traffic pod's containers until a tool does, and after it."""

import uuid

FIFO = "/run/cnibench"
MARK_VARIABLE = "CNIBENCH_MARK"
STDERR_BYTES_MAX = 1 << 16

LAUNCHER = f"""
mkfifo "$0" && read -r command <"$0" && : >"$0.taken" || exit 125
exec 2>/dev/null
eval "($command) 2>$0.stderr"
status=$?
printf '%s exit %s\\n' "${MARK_VARIABLE}" "$status"
head --bytes={STDERR_BYTES_MAX} "$0.stderr"
printf '%s end\\n' "${MARK_VARIABLE}"
read -r command <"$0"
"""
"""Not ``exec``: somebody has to say when and how the tool ended, and then to stay until the pod is
deleted, since its network and its CPU time are read after the tool's last line. The containers of a
pod share one process namespace: the first process of one would ignore most signals. What the shell
itself says of a tool that was ended is nobody's output: hence the subshell."""


def new_mark() -> str:
    """What no tool prints by accident."""
    return f"cnibench-{uuid.uuid4().hex}"
