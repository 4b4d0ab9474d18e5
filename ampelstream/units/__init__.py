"""Science units and their contract."""
