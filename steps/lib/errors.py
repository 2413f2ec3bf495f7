"""Every error that cnibench raises on purpose, and the exit status each one ends with.

    CnibenchError                 70  our own fault: a broken invariant
    ├── InputError                 2  a file, option or store that a person has to change
    ├── RefusedError              65  what was asked is not in force, so nothing may be measured
    ├── TransientError            75  target or store not reachable now; the only one retried
    └── OwnershipError            80  the target changed hands: wrong fingerprint or lease; stop

A message says what is wrong, where, and what to do instead. Argo retries a pod on status 75 and on
no other (``steps/pipeline.py``).
"""


class CnibenchError(Exception):
    """Base of the tree; raised itself only for broken invariants of our own."""

    exit_code = 70


class InputError(CnibenchError):
    """Something a person wrote or chose cannot be used: nothing was started, nothing was lost."""

    exit_code = 2


class RefusedError(CnibenchError):
    """A requested state did not take effect (tuning, install): numbers would be mislabelled."""

    exit_code = 65


class TransientError(CnibenchError):
    """A part that is needed does not answer; the same call may succeed later."""

    exit_code = 75


class OwnershipError(CnibenchError):
    """The target no longer carries what this block installed; continuing would mix candidates."""

    exit_code = 80
