"""What leaves the system: rules, messages and sinks."""
