"""One process, files or Kafka as sources, state in RocksDB."""
