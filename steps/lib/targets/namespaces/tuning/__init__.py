"""Settings of a node, by kind: how each is found, read and written. Shared by both targets.

Standard library and the programs of the tool box only, since the node agent runs these files too
(``kubernetes/program.py``). ``kinds.py`` is the registry.
"""
