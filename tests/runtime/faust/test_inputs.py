"""From a file of sources to the applications of the ingest step."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ampelstream.errors import ConfigError
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.faust.inputs import backfill_of, inputs_of
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.schemas import PatientRegistry
from ampelstream.runtime.kafka.sources import SourcesSpec

SURVEY: dict[str, Any] = {"bootstrap": "survey:9092", "group_prefix": "ourselves-"}


def context(directory: Path, **sources: Any) -> WorkerContext:
    settings = SimpleNamespace(state=directory, park=60.0)
    spec = SourcesSpec.model_validate(sources)
    ours = Connection(bootstrap="ours:9092")
    return WorkerContext(cast("Any", settings), 0, ours, spec, 4, "small")


def test_one_for_each_cluster_and_stream(names: TopicNames, tmp_path: Path) -> None:
    found = inputs_of(
        names,
        context(
            tmp_path,
            clusters={"survey": SURVEY},
            alerts=[
                {"cluster": "survey", "pattern": r"ztf_\d{8}"},
                {"cluster": "survey", "topics": "special.alerts"},
                {"topics": [names.alerts]},
            ],
            notices=[{"topics": [names.notices]}],
        ),
    )
    told = [(one.name, one.group, one.stream, one.topics, one.pattern, one.ours) for one in found]
    assert told == [
        (
            "ingest-alerts-survey",
            "ourselves-ampel.small.ingest.alerts-survey",
            "alerts",
            (),
            r"(?:ztf_\d{8})|special\.alerts",
            False,
        ),
        ("ingest-alerts", "ampel.small.ingest.alerts", "alerts", (names.alerts,), None, True),
        ("ingest-notices", "ampel.small.ingest.notices", "notices", (names.notices,), None, True),
    ]
    assert [one.connection.address for one in found] == ["survey:9092", "ours:9092", "ours:9092"]
    assert not any(one.parked or one.registry for one in found)


def test_with_a_registry_what_is_parked_is_read_too(names: TopicNames, tmp_path: Path) -> None:
    sources: dict[str, Any] = {"alerts": [{"topics": [names.alerts]}]}
    found = inputs_of(names, context(tmp_path, registry={"url": "http://there"}, **sources))
    assert [one.name for one in found] == ["ingest-alerts", "ingest-parked"]
    assert [one.parked for one in found] == [False, True]
    assert found[1].topics == (names.parked,)
    assert found[0].registry is found[1].registry is not None
    again = backfill_of(found[0], "x")
    assert isinstance(again.registry, PatientRegistry)
    assert again.group == f"{found[0].group}.backfill-x"


def test_what_we_write_is_not_read(names: TopicNames, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"would read .*candidates"):
        inputs_of(names, context(tmp_path, alerts=[{"pattern": r"ampel\.small\..*"}]))
