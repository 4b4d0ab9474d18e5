"""The production runtime: Faust agents, state in Faust tables on RocksDB, nothing lost."""
