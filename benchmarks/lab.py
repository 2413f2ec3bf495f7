"""What plugins cost on a real cluster: install, remove, idle, pod start; and cells beside traffic.

Runs the campaign beside this file in the lab (``make lab-up``), then times the start of 1 and of 20
pods by step. One run of each: figures to plan a campaign with, not to rank plugins by.
"""
