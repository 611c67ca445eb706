"""Other implementations to compare with: oracle scripts that run in a Python environment of their own."""

from reference.environment import Reference, python_with, reference_python

__all__ = ["Reference", "python_with", "reference_python"]
