"""Clusters of others for tests: with TLS and passwords, or with tokens; and who gives these."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.jars import find_java

__all__ = ["PASSWORD", "TOKEN_SECRET", "TokenServer", "scram_cluster", "token_cluster", "tokens"]

PASSWORD = "open-sesame-7291"  # noqa: S105  (of a broker that lives as long as the test)
TOKEN_SECRET = "client-secret-5518"  # noqa: S105  (the same)
_STORE_PASSWORD = "only-in-this-test"  # noqa: S105  (the same)


def _certificate(directory: Path) -> tuple[Path, Path]:
    """A key store for a broker on loopback, and its self-made certificate as PEM."""
    store, pem = directory / "broker.p12", directory / "ca.pem"
    keytool = Path(find_java()).resolve().with_name("keytool")
    common: list[str | Path] = [
        "-keystore",
        store,
        "-storetype",
        "PKCS12",
        "-storepass",
        _STORE_PASSWORD,
    ]
    made: list[str | Path] = [
        "-genkeypair",
        "-alias",
        "broker",
        "-keyalg",
        "EC",
        "-dname",
        "CN=127.0.0.1",
    ]
    made += ["-ext", "san=ip:127.0.0.1", "-ext", "bc:c", "-validity", "2"]
    exported: list[str | Path] = ["-exportcert", "-rfc", "-alias", "broker", "-file", pem]
    for command in (made, exported):
        subprocess.run([keytool, *command, *common], check=True, capture_output=True)
    return store, pem


@contextmanager
def scram_cluster(directory: Path, version: str) -> Iterator[tuple[Broker, Path]]:
    """A cluster with TLS and SCRAM for user ``reader``, and the authority to trust."""
    directory.mkdir()
    store, pem = _certificate(directory)
    broker = Broker(
        directory / "broker",
        version=version,
        listeners={"LOGIN": "SASL_SSL"},
        scram_users={"reader": PASSWORD},
        settings={
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(store),
            "ssl.keystore.password": _STORE_PASSWORD,
            "ssl.key.password": _STORE_PASSWORD,
        },
    )
    try:
        broker.start()
        yield broker, pem
    finally:
        broker.kill()


@contextmanager
def token_cluster(directory: Path, version: str, session_ms: int) -> Iterator[Broker]:
    """A cluster that takes unsigned tokens, and lets a connection live only so long on one."""
    name = "listener.name.token"
    module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
    broker = Broker(
        directory,
        version=version,
        listeners={"TOKEN": "SASL_PLAINTEXT"},
        settings={
            f"{name}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{name}.oauthbearer.sasl.jaas.config": f'{module}unsecuredLoginStringClaim_sub="b";',
            f"{name}.oauthbearer.connections.max.reauth.ms": str(session_ms),
        },
    )
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def _part(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


class TokenServer:
    """Gives short-lived tokens for client credentials.

    Attributes
    ----------
    given
        How many tokens.
    """

    def __init__(self, life_seconds: int) -> None:
        self.life = life_seconds
        self.given = 0
        self.url = ""

    def answer(self, authorization: str) -> tuple[int, dict[str, object]]:
        known = base64.b64encode(f"reader:{TOKEN_SECRET}".encode()).decode()
        if authorization != f"Basic {known}":
            return 401, {"error": "invalid_client"}
        self.given += 1
        now = time.time()
        claims: dict[str, object] = {"sub": "reader", "iat": now, "exp": now + self.life}
        token = f"{_part({'alg': 'none'})}.{_part(claims)}."
        return 200, {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}


@contextmanager
def tokens(life_seconds: int) -> Iterator[TokenServer]:
    """A token endpoint on a port of its own."""
    server = TokenServer(life_seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = server.answer(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.url = f"http://127.0.0.1:{listening.server_port}/token"
        thread = Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
