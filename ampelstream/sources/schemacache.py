"""Writer schemas on disk, so that a restart needs no schema registry."""

import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fastavro

from ampelstream.codecs.avro.garbage import GARBAGE

__all__ = ["SchemaCache", "parsed_schema"]

_LOG = logging.getLogger(__name__)


def parsed_schema(text: str) -> Mapping[str, Any] | None:
    """Schema of a record, parsed; None where the text is none."""
    try:
        schema = fastavro.parse_schema(json.loads(text))
    except GARBAGE:
        return None
    return schema if isinstance(schema, Mapping) else None


class SchemaCache:
    """Schemas of one registry in a directory, one file each.

    A registry's schemas never change, so a file is never out of date. Any number of processes may
    share the directory.

    Parameters
    ----------
    directory
        Holds a directory for each registry; made when first needed.
    url
        Of the registry: two registries may use one identifier for different schemas.
    """

    def __init__(self, directory: Path, url: str) -> None:
        parts = urlsplit(url)
        place = re.sub(r"[^A-Za-z0-9.-]+", "_", parts.netloc + parts.path.rstrip("/"))
        self._directory = directory / place

    def path(self, schema_id: int) -> Path:
        """File of a schema."""
        return self._directory / f"{schema_id}.avsc"

    def read(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema, parsed; None where it is not there or its file is corrupt."""
        path = self.path(schema_id)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            _LOG.warning("%s cannot be read and is fetched again: %s", path, error)
            return None
        schema = parsed_schema(text)
        if schema is None:
            _LOG.warning("%s is corrupt and is fetched again", path)
        return schema

    def write(self, schema_id: int, text: str) -> None:
        """Keep a schema; where the directory cannot be written, say so and go on without."""
        path = self.path(schema_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{schema_id}-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(name).replace(path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            _LOG.warning("%s cannot be written, a restart will fetch it again: %s", path, error)
