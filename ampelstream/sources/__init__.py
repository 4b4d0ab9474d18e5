"""Where records come from: files, directories, archives, Parquet, NDJSON."""
