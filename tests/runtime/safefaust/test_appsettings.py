"""Settings of the Faust applications, and our connection in Faust's words."""

import ssl
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from mode.supervisors import CrashingSupervisor

from ampelstream.runtime.safefaust.appsettings import safe_settings
from ampelstream.runtime.safefaust.failures import SettingsError
from ampelstream.runtime.safefaust.recovery import SafeTableManager
from ampelstream.runtime.safefaust.table import StateTable

SERVERS = {"bootstrap_servers": ["one:9092", "two:9093"]}


def settings(
    directory: Path, session: float = 12.0, heartbeat: float = 3.0, **options: Any
) -> dict[str, Any]:
    return safe_settings(
        "app",
        SERVERS | options,
        url="http://localhost:8000",
        directory=directory,
        session=session,
        heartbeat=heartbeat,
        instance="worker-1",
        refresh_seconds=20.0,
    )


def test_what_an_application_makes_of_them(tmp_path: Path) -> None:
    app: Any = faust.App(**settings(tmp_path))
    assert [str(url) for url in app.conf.broker] == [
        "safefaust://one:9092",
        "safefaust://two:9093",
    ]
    assert type(app.transport).__module__ == "ampelstream.runtime.safefaust.driver"
    assert isinstance(app.tables, SafeTableManager)
    assert app.conf.Table is StateTable
    assert app.conf.agent_supervisor is CrashingSupervisor
    assert app.conf.consumer_group_instance_id == "worker-1"
    assert app.conf.consumer_metadata_max_age_ms == 20_000


def test_no_credentials(tmp_path: Path) -> None:
    assert settings(tmp_path)["broker_credentials"] is None


def test_tls(tmp_path: Path) -> None:
    context = ssl.create_default_context()
    credentials = settings(tmp_path, ssl_context=context)["broker_credentials"]
    assert isinstance(credentials, SSLCredentials)
    assert credentials.context is context


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("secure", [True, False])
def test_password(tmp_path: Path, mechanism: str, *, secure: bool) -> None:
    context = ssl.create_default_context() if secure else None
    credentials = settings(
        tmp_path,
        sasl_mechanism=mechanism,
        sasl_plain_username="user",
        sasl_plain_password="secret",  # noqa: S106  (made up)
        ssl_context=context,
    )["broker_credentials"]
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.password) == ("user", "secret")
    assert credentials.mechanism.value == mechanism
    assert credentials.ssl_context is context
    assert credentials.protocol.value == ("SASL_SSL" if secure else "SASL_PLAINTEXT")


def test_tokens(tmp_path: Path) -> None:
    provider = object()
    credentials = settings(
        tmp_path, sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=provider
    )["broker_credentials"]
    assert isinstance(credentials, OAuthCredentials)
    assert credentials.oauth_cb is provider


def test_a_session_holds_two_heartbeats(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="two heartbeats"):
        settings(tmp_path, session=5.0)


def test_a_request_may_take_longer_than_a_session(tmp_path: Path) -> None:
    long = settings(tmp_path, session=60.0)
    assert long["broker_request_timeout"] > long["broker_session_timeout"]
