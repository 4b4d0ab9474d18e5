"""Where records come from: files, directories, archives, Parquet, NDJSON."""

from ampelstream.sources.base import Source
from ampelstream.sources.eventtime import event_time
from ampelstream.sources.files import open_source
from ampelstream.sources.merge import merge

__all__ = ["Source", "event_time", "merge", "open_source"]
