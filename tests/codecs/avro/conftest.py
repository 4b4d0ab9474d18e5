"""Both interpreters, for the tests that compare them."""

import pytest

from ampelstream.codecs.avro import backend

PLAIN = backend.plain()
COMPILED, WHY_NOT = backend.compiled()


@pytest.fixture(params=["plain", "compiled"])
def interpreter(request: pytest.FixtureRequest) -> backend.Interpreter:
    if request.param == "plain":
        return PLAIN
    if COMPILED is None:
        pytest.skip(f"there is no compiled interpreter: {WHY_NOT}")
    return COMPILED
