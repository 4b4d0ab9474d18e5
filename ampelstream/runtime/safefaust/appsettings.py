"""Settings of our Faust applications, each for its reason.

``exactly_once`` is not among them: in faust-streaming 0.15.3 it chooses transactions by the
destination partition and writes offsets of tables never; we are exact by ids instead.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import SASLMechanism
from mode.supervisors import CrashingSupervisor
from yarl import URL

from ampelstream.runtime.safefaust.driver import FETCH_BYTES, SCHEME
from ampelstream.runtime.safefaust.failures import SettingsError

__all__ = ["safe_settings"]


def _credentials(options: Mapping[str, Any]) -> Any:
    """Our connection's options in Faust's words; None without any."""
    mechanism, context = options.get("sasl_mechanism"), options.get("ssl_context")
    if mechanism == "OAUTHBEARER":
        provider = options["sasl_oauth_token_provider"]
        return OAuthCredentials(oauth_cb=provider, ssl_context=context)
    if mechanism is not None:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=SASLMechanism(mechanism),
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)


def safe_settings(
    app_id: str,
    options: Mapping[str, Any],
    *,
    url: str,
    directory: Path,
    session: float = 12.0,
    heartbeat: float = 3.0,
    rebalance: float = 30.0,
    instance: str | None = None,
    refresh_seconds: float = 300.0,
    client: str = "safefaust",
) -> dict[str, Any]:
    """Keyword arguments of ``faust.App``.

    Parameters
    ----------
    app_id
        Also the consumer group.
    options
        Connection, as keyword arguments of aiokafka.
    url
        Where this worker answers; must differ between workers.
    directory
        For Faust's own files.
    session
        Without a heartbeat for so long a member is out of the group, and its partitions go to
        others [s].
    heartbeat
        Time between heartbeats [s].
    rebalance
        How long members may take to finish what they have in hand when partitions move [s].
    instance
        Static member id; a worker that comes back under it within the session time gets its
        partitions without a rebalance. None: a new member each time.
    refresh_seconds
        How often the cluster is asked for new topics of a pattern [s].
    client
        Name under which brokers know the clients.

    Raises
    ------
    SettingsError
        The session is not shorter than a request may take.
    """
    request = max(40.0, session + 10)
    if heartbeat * 2 > session:
        raise SettingsError("the session time must hold at least two heartbeats")
    servers = options["bootstrap_servers"]
    return {
        "id": app_id,
        "broker": [URL(f"{SCHEME}://{server}") for server in servers],
        "broker_client_id": client,
        "broker_credentials": _credentials(options),
        "broker_session_timeout": session,
        "broker_heartbeat_interval": heartbeat,
        "broker_rebalance_timeout": rebalance,
        "broker_request_timeout": request,
        # records that take long may fill the inbox for hours; our watchdog ends what hangs
        "broker_max_poll_interval": 7 * 86_400.0,
        "broker_commit_interval": 0.25,  # what is settled is committed soon: less to do again
        "broker_max_poll_records": 500,
        "consumer_auto_offset_reset": "earliest",  # latest would skip what a changelog lost
        "consumer_max_fetch_size": FETCH_BYTES,  # of a partition; of all, the same
        "consumer_group_instance_id": instance,
        "consumer_metadata_max_age_ms": int(refresh_seconds * 1000),
        "processing_guarantee": "at_least_once",
        "agent_supervisor": CrashingSupervisor,  # the default acknowledges what failed, and goes on
        "TableManager": "ampelstream.runtime.safefaust.recovery:SafeTableManager",
        "PartitionAssignor": "ampelstream.runtime.safefaust.assignor:SafeAssignor",
        "Table": "ampelstream.runtime.safefaust.table:StateTable",
        "stream_wait_empty": True,  # a batch in hand is finished before its partition goes
        "table_standby_replicas": 0,
        "topic_allow_declare": False,  # topics are made with `ampelstream topics create`
        "topic_disable_leader": True,
        "web_enabled": False,  # our own server; Faust's would show table data
        "canonical_url": URL(url),
        "datadir": str(directory),
    }
