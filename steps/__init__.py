"""The stages of the pipeline: one file each."""

import gc
import os

if "ARGO_NODE_ID" in os.environ:
    # A stage of a few seconds begins with loading its programs: a million objects, none of them
    # garbage. Looking for some again and again takes a sixth of that time. What Hera's runner
    # loads before this cannot be helped from here.
    gc.set_threshold(100_000, 50, 50)
