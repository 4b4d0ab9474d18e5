"""Sky maps as compact bytes for the state store.

Bytes of equal significance stand together before they are deflated (a shuffle): neighbouring tiles
have like exponents, and the result is smaller and quicker than deflating doubles as they are.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.sky.tiles import Distances, Tiles

__all__ = ["Stored", "pack", "unpack"]

_FORMAT = 1
_DEFLATE = 1
"""Level 6 takes four times as long for a few per cent. Nor is anything looked for but runs: of the
digits of a double nothing comes again, and looking for it takes three times as long."""


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a map.

    Attributes
    ----------
    name, digest, t_obs_jd, header
        As in ``SkyMap``.
    steps
        Start of each tile less that of the one before.
    distance
        mu, sigma and norm; empty without distances.
    """

    name: str
    digest: str
    t_obs_jd: float | None
    header: dict[str, str | int | float]
    steps: bytes
    order: bytes
    density: bytes
    distance: tuple[bytes, ...]
    format: int = _FORMAT


_DECODER = msgspec.msgpack.Decoder(Stored)


def _deflate(values: NDArray[Any], kind: str) -> bytes:
    plain = np.ascontiguousarray(values, dtype=kind)
    bytes_ = plain.view(np.uint8).reshape(len(plain), plain.itemsize)
    deflate = zlib.compressobj(_DEFLATE, strategy=zlib.Z_RLE)
    return deflate.compress(np.ascontiguousarray(bytes_.T).data) + deflate.flush()


def _inflate(data: bytes, kind: str) -> NDArray[Any]:
    size = np.dtype(kind).itemsize
    bytes_ = np.frombuffer(zlib.decompress(data), dtype=np.uint8).reshape(size, -1)
    native = np.dtype(kind).newbyteorder("=")
    return np.ascontiguousarray(bytes_.T).view(kind).ravel().astype(native, copy=False)


def pack(
    tiles: Tiles, name: str, digest: str, t_obs_jd: float | None, header: Mapping[str, str | float]
) -> bytes:
    """Bytes of a map; see ``Stored``."""
    distances = tiles.distances
    columns = (distances.mu, distances.sigma, distances.norm) if distances else ()
    stored = Stored(
        name=name,
        digest=digest,
        t_obs_jd=t_obs_jd,
        header=dict(header),
        steps=_deflate(np.diff(tiles.start29, prepend=0), "<i8"),
        order=_deflate(tiles.order, "i1"),
        density=_deflate(tiles.density, "<f8"),
        distance=tuple(_deflate(column, "<f8") for column in columns),
    )
    return msgspec.msgpack.encode(stored)


def unpack(data: bytes) -> tuple[Stored, Tiles]:
    """Undo ``pack``, to the bit.

    Raises
    ------
    SkyMapError
        These are no such bytes.
    """
    try:
        stored = _DECODER.decode(data)
        if stored.format != _FORMAT:
            raise SkyMapError(f"stored sky map {stored.name} has the format {stored.format}, this "
                              f"version reads {_FORMAT}; replay the event")  # fmt: skip
        columns = [_inflate(column, "<f8") for column in stored.distance]
        return stored, Tiles(
            np.cumsum(_inflate(stored.steps, "<i8")),
            _inflate(stored.order, "i1"),
            _inflate(stored.density, "<f8"),
            Distances(*columns) if columns else None,
        )
    except (msgspec.DecodeError, zlib.error, TypeError) as error:
        raise SkyMapError(
            f"a stored sky map is unreadable ({error}); replay the event to store it anew"
        ) from error
