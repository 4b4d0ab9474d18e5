"""The state store: interface, RocksDB, and an in-memory twin for tests."""
