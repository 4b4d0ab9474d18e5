"""The text that a broker is started with."""

from pathlib import Path

import pytest

from ampelstream.errors import BrokerError
from ampelstream.runtime.broker.properties import as_text, server_settings
from ampelstream.runtime.broker.storage import check_users


def test_one_node_on_loopback_only() -> None:
    told = server_settings(Path("data"), 9092, 9093, {}, {})
    assert told["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert told["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert told["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert told["auto.create.topics.enable"] == "false"
    assert "message.max.bytes" not in told  # topics must ask for more, as on other clusters
    assert not any("0.0.0.0" in value for value in told.values())  # noqa: S104  (it is refused)


def test_a_listener_with_login() -> None:
    told = server_settings(Path("data"), 9092, 9093, {"LOGIN": ("SASL_PLAINTEXT", 9094)}, {})
    assert "LOGIN://127.0.0.1:9094" in told["listeners"].split(",")
    assert "LOGIN://127.0.0.1:9094" in told["advertised.listeners"].split(",")
    assert "LOGIN:SASL_PLAINTEXT" in told["listener.security.protocol.map"].split(",")
    assert "ScramLoginModule" in told["listener.name.login.scram-sha-512.sasl.jaas.config"]


def test_what_the_caller_sets_wins() -> None:
    own = {"num.io.threads": "8", "log.segment.bytes": "1048576"}
    told = server_settings(Path("data"), 9092, 9093, {}, own)
    assert own.items() <= told.items()


def test_text_of_the_file() -> None:
    assert as_text({"a.b": "1", "c": "x\\y\nz"}) == "a.b=1\nc=x\\\\y\\nz\n"
    with pytest.raises(BrokerError, match="no name of a setting"):
        as_text({"a=b": "1"})


@pytest.mark.parametrize(("name", "password"), [("a", "x,y"), ("a,b", "x"), ("a", ""), ("", "x")])
def test_users_that_the_tool_would_misread(name: str, password: str) -> None:
    with pytest.raises(BrokerError, match="SCRAM user") as caught:
        check_users({name: password})
    assert "x,y" not in str(caught.value)
    check_users({"some.one@example": "p=a's;s"})
