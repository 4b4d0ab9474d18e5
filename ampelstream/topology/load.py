"""Reading a topology file; every mistake is named with file, line, key and mend."""

from pathlib import Path

from ampelstream.errors import ConfigError
from ampelstream.shipped import topologies, topology_path
from ampelstream.topology.spec import TopologySpec
from ampelstream.topology.yamlfile import parse

__all__ = ["load"]


def _text(path: Path | str) -> tuple[Path, str]:
    """The file and its text; a bare name may be that of a shipped topology."""
    file = Path(path)
    if not file.exists() and str(path) in topologies():
        file = topology_path(str(path))
    try:
        return file, file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no topology file {path}; shipped ones are {', '.join(topologies())}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"topology file {path} cannot be read: {error}") from error


def load(path: Path | str) -> TopologySpec:
    """Read and validate a topology file.

    Parameters
    ----------
    path
        The file, or the name of a shipped topology.

    Raises
    ------
    ConfigError
        The file is not there, is not YAML, or says what it may not; all problems are named.
    """
    file, text = _text(path)
    return parse(text, file, TopologySpec)
