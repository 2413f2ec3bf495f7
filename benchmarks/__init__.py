"""Benchmarks: they print ratios to an aim and keep a JSON. Nothing here is a test."""
