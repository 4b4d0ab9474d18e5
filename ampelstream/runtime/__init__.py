"""Runtimes: they carry records to the core and its outputs away."""
