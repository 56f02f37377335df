"""How near is near enough, for labels that are given as points."""

TOLERANCE_MM = 5.0
"""From a point to its node's centroid, at most, unless the command line says otherwise."""
