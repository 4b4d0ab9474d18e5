"""A YAML file made into a validated graph of units."""
