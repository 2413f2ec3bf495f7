"""Comparisons of sides, cell by cell, with blocks as the unit."""
