"""The wiring of the stages, and the catalog of what can be run."""
