"""The program that does the work on a node: runs in a privileged pod there, standard library only.

It reads requests as JSON lines from standard input and answers each with one line on standard
output, in order. The target ships these files, and the few that they import from elsewhere, in a
ConfigMap (``kubernetes/agents.py``); so nothing here may import a package that has to be installed.
"""
