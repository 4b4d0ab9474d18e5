from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ampelstream.runtime.settings import STEPS, Engine, GroupTimes, Option, WorkerSettings

EMBEDDED: dict[str, Any] = {"topology": "kilonova", "state": "s", "alerts": ["a"]}
FAUST: dict[str, Any] = {
    "topology": "kilonova",
    "state": "s",
    "engine": "faust",
    "broker": "localhost:9092",
}


def test_defaults() -> None:
    settings = WorkerSettings(**FAUST)
    assert settings.engine is Engine.FAUST
    assert settings.state == Path("s")
    assert settings.steps == STEPS
    assert settings.times == GroupTimes(session=12.0, heartbeat=3.0, rebalance=30.0)


def test_a_short_session_has_quick_heartbeats() -> None:
    assert WorkerSettings(**FAUST, session=6).times.heartbeat == 1.5


def test_they_do_not_change() -> None:
    settings = WorkerSettings(**EMBEDDED)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, "poll", 2.0)  # noqa: B010  (mypy knows that it is frozen)


def test_steps_have_one_order() -> None:
    assert WorkerSettings(**FAUST, steps=("react", "ingest", "react")).steps == ("ingest", "react")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            FAUST | {"steps": ("ingest", "objekts")},
            "there is no step objekts; steps are",
        ),
        (FAUST | {"steps": ()}, r"no step \(none given\)"),
        (FAUST | {"broker": None}, "needs --broker, or AMPELSTREAM_BROKER"),
        (FAUST | {"broker": ""}, "needs --broker"),
        (FAUST | {"alerts": ["a"]}, "the faust engine reads topics"),
        (FAUST | {"notices": ["a"]}, "the faust engine reads topics"),
        (FAUST | {"once": True}, "the faust engine reads topics"),
        (EMBEDDED | {"alerts": []}, "give --alerts, or --broker"),
        (EMBEDDED | {"poll": 0.01}, "greater than or equal to 0.05"),
        (EMBEDDED | {"session": 5}, "greater than or equal to 6"),
        (EMBEDDED | {"port": 65536}, "less than or equal to 65535"),
        (EMBEDDED | {"sesion": 12}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WorkerSettings(**given)


def test_directories_may_be_followed_where_a_broker_is_in_the_environment() -> None:
    assert WorkerSettings(**EMBEDDED, broker="localhost:9092").alerts == (Path("a"),)


def test_every_setting_is_explained() -> None:
    for name, field in WorkerSettings.model_fields.items():
        options = [one for one in field.metadata if isinstance(one, Option)]
        assert len(options) == 1, name
        assert field.description, name
        assert field.description.endswith("."), name
        if field.annotation is float:
            assert options[0].unit == "s", name


def test_an_option_that_would_do_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="the embedded engine answers at no port"):
        WorkerSettings(**EMBEDDED, port=7001)
    assert WorkerSettings(**EMBEDDED, port=0).port == 0
