"""``python -m cnibench``."""

from cnibench.cli import main

main()
