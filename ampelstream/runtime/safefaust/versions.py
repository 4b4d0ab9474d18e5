"""Our remedies stand on private parts of four libraries: other versions are refused."""

from importlib.metadata import PackageNotFoundError, version

from ampelstream.runtime.safefaust.failures import SettingsError

__all__ = ["PINNED", "check_versions"]

PINNED = {
    "faust-streaming": "0.15.3",
    "aiokafka": "0.14.0",
    "mode-streaming": "0.7.1",
    "rocksdict": "0.3.29",
}
"""The versions against which each remedy was proved; ``pyproject.toml`` pins the same."""


def check_versions() -> None:
    """See that exactly the proved versions are installed.

    Raises
    ------
    SettingsError
        One is not: our remedies might have no effect, and records could be lost in silence.
    """
    strange: list[str] = []
    for name, wanted in PINNED.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "nothing"
        if found != wanted:
            strange.append(f"{name} {wanted} (found {found})")
    if strange:
        raise SettingsError(
            "the Faust engine is proved with other versions only; install "
            f"{', '.join(strange)}: pip install "
            + " ".join(f"{name}=={wanted}" for name, wanted in PINNED.items())
        )
