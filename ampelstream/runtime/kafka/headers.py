"""Headers by which a record that was copied into Kafka keeps where and when it came from first."""

from collections.abc import Iterable

import msgspec

from ampelstream.model.coordinates import Coordinates

__all__ = ["MEMBER", "ORIGIN", "SINCE", "decode_origin", "decode_time", "encode_origin"]

ORIGIN = "ampelstream-origin"
"""MessagePack array: source, partition, offset."""
MEMBER = "ampelstream-member"
"""UTF-8 text: name of the file or archive member, for people."""
SINCE = "ampelstream-since"
"""When a record was put aside because its schema was not known, Unix time [s] as text."""
_INT_BITS, _LONG_BITS = 31, 63

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Coordinates)


def encode_origin(where: Coordinates, member: str = "") -> list[tuple[str, bytes]]:
    """Headers of a record that came from there.

    Parameters
    ----------
    where
        Its coordinates in its first source.
    member
        Name of the file or archive member; a name that is not UTF-8 loses what is not.
    """
    headers = [(ORIGIN, _encoder.encode(where))]
    if member:
        headers.append((MEMBER, member.encode("utf-8", errors="replace")))
    return headers


def decode_origin(headers: Iterable[tuple[str, bytes | None]]) -> tuple[Coordinates, str] | None:
    """First coordinates of a record and its member; None where its headers do not say.

    Anybody may write headers: what is malformed, or would not fit our own schemas, is ignored. Of
    several with one name the last counts, as everywhere in Kafka.
    """
    found = dict(headers)
    try:
        where = _decoder.decode(found.get(ORIGIN) or b"")
        member = (found.get(MEMBER) or b"").decode("utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError):  # a ValidationError is a DecodeError
        return None
    fits = 0 <= where.partition < 1 << _INT_BITS and 0 <= where.offset < 1 << _LONG_BITS
    return (where, member) if fits and where.source else None


def decode_time(headers: Iterable[tuple[str, bytes | None]], name: str) -> float:
    """Unix time [s] in a header; 0 where it is missing or malformed."""
    try:
        return float(dict(headers).get(name) or b"0")
    except ValueError:
        return 0.0
