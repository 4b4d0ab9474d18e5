"""For tests and first tries: a real Kafka on this machine."""
