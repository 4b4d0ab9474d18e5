"""How a Kafka cluster is reached: addresses, encryption, who we are."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.oauth import ClientCredentials
from ampelstream.runtime.kafka.secrets import Secret, Strict, Text

__all__ = ["Connection", "Mechanism", "Security"]

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
_PASSWORD = ("username", "password")
_OAUTH = ("token_url", "client_id", "client_secret", "scope")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _listed(value: Any) -> Any:
    """Addresses from one text with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Connection(Strict):
    """One cluster.

    Attributes
    ----------
    bootstrap
        Addresses to begin with, host:port; a list, or one text with commas.
    security
        Whether the connection is encrypted (SSL) and whether one logs in (SASL).
    mechanism
        How one logs in.
    username, password
        For PLAIN and SCRAM.
    token_url, client_id, client_secret, scope
        For OAUTHBEARER, by OAuth client credentials.
    group_prefix
        What the names of consumer groups must begin with on that cluster, where it asks for that.
    ca
        PEM file of the authorities to trust; the system's by default.
    """

    bootstrap: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    security: Security = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: Text | None = None
    password: Secret | None = None
    token_url: str | None = None
    client_id: Text | None = None
    client_secret: Secret | None = None
    scope: str | None = None
    group_prefix: str = ""
    ca: Path | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Connection":
        """Say what is missing, and what would be ignored."""
        sasl = self.security.startswith("SASL")
        if sasl and self.mechanism is None:
            raise ValueError(f"security {self.security} needs a mechanism, such as SCRAM-SHA-512")
        if not sasl and self.mechanism is not None:
            raise ValueError(f"security {self.security} has no mechanism; say SASL_SSL, or drop it")
        oauth = self.mechanism == "OAUTHBEARER"
        wanted = _OAUTH if oauth else _PASSWORD if sasl else ()
        missing = [key for key in wanted if getattr(self, key) is None and key != "scope"]
        if missing:
            raise ValueError(f"mechanism {self.mechanism} needs {', '.join(missing)}")
        idle = [key for key in (*_PASSWORD, *_OAUTH) if key not in wanted and getattr(self, key)]
        if idle:
            how = f"mechanism {self.mechanism}" if sasl else f"security {self.security}"
            raise ValueError(f"{how} does not use {', '.join(idle)}; drop it")
        if self.ca is not None and not self.security.endswith("SSL"):
            raise ValueError(f"security {self.security} does not use ca; say SSL or SASL_SSL")
        if self.token_url is not None:
            _check_token_url(self.token_url)
        return self

    @property
    def address(self) -> str:
        """The addresses as one text."""
        return ",".join(self.bootstrap)

    def describe(self) -> str:
        """One line for people, without secrets."""
        if self.mechanism is None:
            return f"{self.address} ({self.security})"
        who = self.client_id if self.mechanism == "OAUTHBEARER" else self.username
        return f"{self.address} ({self.security}, {self.mechanism} as {who})"

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of an aiokafka consumer, producer or admin client.

        Secrets are read now, so call this once for each client and keep the result nowhere.

        Raises
        ------
        ConfigError
            A secret is not where it should be, or the file of authorities cannot be read.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap),
            "security_protocol": self.security,
        }
        context = self._context()
        if context is not None:
            options["ssl_context"] = context
        if self.mechanism is None:
            return options
        options["sasl_mechanism"] = self.mechanism
        if self.mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = self._provider()
        else:
            options["sasl_plain_username"] = self._read("username")
            options["sasl_plain_password"] = self._read("password")
        return options

    def _read(self, key: str) -> str:
        where: Secret = getattr(self, key)
        return where.read(f"{key} for {self.address}")

    def _provider(self) -> ClientCredentials:
        return ClientCredentials(
            str(self.token_url),
            self._read("client_id"),
            self._read("client_secret"),
            self.scope,
        )

    def _context(self) -> ssl.SSLContext | None:
        if not self.security.endswith("SSL"):
            return None
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"ca for {self.address}: {self.ca} cannot be used: {error.strerror or error}"
            ) from error


def _check_token_url(url: str) -> None:
    """Refuse an address by which the client secret would travel in the clear."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("token_url must not hold a user or a password")
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise ValueError(
            "token_url must begin with https://, or the secret could be read on its way"
        )
