"""Filters of alerts, and of objects against events."""
