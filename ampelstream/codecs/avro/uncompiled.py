"""Stands in for Cython where that is not installed: the interpreter then runs as it is."""

__all__ = ["compiled"]

compiled = False
