"""How much a JSON document would become, found without making anything of it.

Three bytes of JSON, such as ``{},``, become an object of up to a hundred.
"""

__all__ = ["has_more_values"]


def has_more_values(data: bytes, most: int) -> bool:
    """Whether a document may have more values than that, keys not counted; roughly.

    It may have twice as many where the answer is no. Commas and brackets within texts count, too.
    """
    # a short document cannot have many
    return len(data) > 2 * most and sum(map(data.count, (b",", b"[", b"{"))) > most
