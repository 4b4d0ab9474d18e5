"""What flows: alerts, light curves, events, candidates and where they came from."""
