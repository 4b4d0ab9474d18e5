"""The soak: a long stream under faults, and whether anything was lost or sent twice."""
