"""Where records come from: files, directories, archives, Parquet, NDJSON."""

from ampelstream.sources.files import open_source
from ampelstream.sources.merge import Source, Waiting, event_time, merge, timed
from ampelstream.sources.window import Skipped

__all__ = ["Skipped", "Source", "Waiting", "event_time", "merge", "open_source", "timed"]
