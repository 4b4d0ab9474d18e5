"""Scores that combine the results of other units."""
