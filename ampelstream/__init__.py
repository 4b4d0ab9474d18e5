"""Stateful stream processing of telescope alerts and multi-messenger triggers."""

__version__ = "0.1.0"

__all__ = ["__version__"]
