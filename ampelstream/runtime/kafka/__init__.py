"""Kafka without Faust: connections, topics, what goes in and what comes out."""
