"""Connections: what fits together, and that no secret is ever shown."""

import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.oauth import ClientCredentials
from ampelstream.runtime.kafka.sources import load_connection

SECRET = "h0nter-two"  # noqa: S105  (made up; searched for in all that is shown)
SCRAM: dict[str, Any] = {
    "bootstrap": "one:9092, two:9092",
    "security": "SASL_PLAINTEXT",
    "mechanism": "SCRAM-SHA-512",
    "username": "vera",
    "password": {"env": "KAFKA_PASSWORD"},
}
OAUTH: dict[str, Any] = {
    "bootstrap": ["kafka.example.org"],
    "security": "SASL_SSL",
    "mechanism": "OAUTHBEARER",
    "token_url": "https://auth.example.org/oauth2/token",
    "client_id": {"env": "KAFKA_CLIENT"},
    "client_secret": {"env": "KAFKA_PASSWORD"},
    "scope": "read",
}


def of(content: dict[str, Any]) -> Connection:
    return Connection.model_validate(content)


def test_an_address_is_a_connection() -> None:
    connection = load_connection("one:9092, two:9093")
    assert connection.bootstrap == ("one:9092", "two:9093")
    assert connection.client_options() == {
        "bootstrap_servers": ["one:9092", "two:9093"],
        "security_protocol": "PLAINTEXT",
    }
    assert connection.describe() == "one:9092,two:9093 (PLAINTEXT)"
    with pytest.raises(ConfigError, match="no address"):
        load_connection(" ,")


def test_secrets_are_read_when_connecting_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connection = of(SCRAM)
    with pytest.raises(ConfigError, match=r"password .*KAFKA_PASSWORD is not set"):
        connection.client_options()
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    options = connection.client_options()
    assert options["sasl_plain_password"] == SECRET
    assert options["sasl_plain_username"] == "vera"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    from_file = of(SCRAM | {"password": {"file": str(file)}})
    assert from_file.client_options()["sasl_plain_password"] == SECRET
    for shown in (connection, from_file):
        assert SECRET not in f"{shown} {shown!r} {shown.describe()} {shown.model_dump_json()}"
    file.unlink()
    with pytest.raises(ConfigError, match="password for one:9092"):
        from_file.client_options()


def test_oauth_gives_each_client_its_own_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_CLIENT", "me")
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    connection = of(OAUTH)
    one, two = connection.client_options(), connection.client_options()
    provider = one["sasl_oauth_token_provider"]
    assert isinstance(provider, ClientCredentials)
    assert provider is not two["sasl_oauth_token_provider"]
    assert one["ssl_context"].check_hostname
    assert SECRET not in f"{provider!r} {connection!r} {connection.describe()}"
    assert "environment variable KAFKA_CLIENT" in connection.describe()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SCRAM | {"password": SECRET}, "a secret is not written"),
        (SCRAM | {"password": [SECRET]}, "a secret is not written"),
        (SCRAM | {"password": {"value": SECRET}}, "unknown key"),
        (SCRAM | {"password": {"env": f"{SECRET}!"}}, "environment variable"),
        (SCRAM | {"password": {}}, "either"),
        (SCRAM | {"mechanism": SECRET}, "OAUTHBEARER"),
        (SCRAM | {"mechanism": None}, "needs a mechanism"),
        (SCRAM | {"username": None}, "needs username"),
        (SCRAM | {"security": "SSL"}, "has no mechanism"),
        (SCRAM | {"ca": "ca.pem"}, "does not use ca"),
        (SCRAM | {"scope": SECRET}, "does not use scope"),
        (SCRAM | {"pasword": SECRET}, "did you mean password"),
        (SCRAM | {"bootstrap": ""}, "bootstrap"),
        (OAUTH | {"client_secret": SECRET}, "a secret is not written"),
        (OAUTH | {"token_url": f"https://u:{SECRET}@example.org"}, "must not hold a user"),
        (OAUTH | {"token_url": f"http://example.org/{SECRET}"}, "https"),
        (OAUTH | {"password": {"env": "A"}}, "does not use password"),
        ({"bootstrap": "a", "username": "b"}, "does not use username"),
    ],
)
def test_what_does_not_fit_is_named_without_its_value(
    content: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "cluster.yml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        load_connection(str(file))
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ValidationError) as direct:
        of(content)
    assert SECRET not in str(direct.value)


def test_broken_yaml_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yml"
    file.write_text(f"bootstrap: a\npassword: '{SECRET}\n")
    with pytest.raises(ConfigError, match="not valid YAML") as caught:
        load_connection(str(file))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_connection(str(tmp_path / "gone.yml"))


def test_a_bad_file_of_authorities_is_named(tmp_path: Path) -> None:
    for content in (None, "no certificate"):
        file = tmp_path / "ca.pem"
        if content:
            file.write_text(content)
        connection = of({"bootstrap": "a", "security": "SSL", "ca": str(file)})
        with pytest.raises(ConfigError, match=r"ca\.pem cannot be used"):
            connection.client_options()
