"""The command ``cnibench``: what people type. The work is done in ``steps``."""
