"""Interrupts reach what tests start, also where a shell began them in the background.

Such a shell has its jobs ignore SIGINT (POSIX, 2.12), and children inherit that.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
