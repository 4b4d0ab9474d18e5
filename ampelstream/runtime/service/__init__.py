"""Operation of a worker process: health, metrics, HTTP, exit codes, incidents."""
