"""Other implementations to compare with: oracle scripts that run in a Python environment of their own."""

from reference.environment import Reference, reference_python

__all__ = ["Reference", "reference_python"]
