"""Progress of a command, with the seconds since its start, on standard error."""

import sys
import time

_started = time.monotonic()


def say(text: str) -> None:
    """Print one line."""
    sys.stderr.write(f"[lab] {time.monotonic() - _started:5.1f}s  {text}\n")
    sys.stderr.flush()
