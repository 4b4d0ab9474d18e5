"""The four steps as pure functions: ingest, objects, events, react."""
