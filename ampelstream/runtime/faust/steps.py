"""The two stateful steps as Faust applications."""

from ampelstream.core.events import MapCache
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.reactions.sinks import open_sinks
from ampelstream.runtime.faust.app import StepApp
from ampelstream.runtime.faust.config import WorkerSettings
from ampelstream.runtime.faust.objects import ObjectsTask
from ampelstream.runtime.faust.react import ReactTask
from ampelstream.runtime.faust.settings import faust_settings
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames
from ampelstream.runtime.kafka.outbox import Outbox
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.store import Backend
from ampelstream.topology import Topology

__all__ = ["objects_app", "react_app"]


def _settings(
    step: str, names: TopicNames, settings: WorkerSettings, url: str
) -> dict[str, object]:
    return faust_settings(
        names.app(step),
        settings.connection.client_options(),
        url=url,
        directory=settings.directory / "faust" / step,
        times=settings.times,
        instance=None if settings.instance is None else f"{settings.instance}-{step}",
    )


def objects_app(
    topology: Topology,
    names: TopicNames,
    settings: WorkerSettings,
    url: str,
    outbox: Outbox,
    metrics: Metrics,
    health: Health,
) -> StepApp:
    """Detections and events become candidates."""
    cache = MapCache()  # all partitions have the same events; their tasks run in one thread

    def make(partition: int, backend: Backend) -> ObjectsTask:
        return ObjectsTask(topology, names, partition, backend, metrics, cache=cache)

    return StepApp(
        OBJECTS,
        names,
        _settings(OBJECTS, names, settings, url),
        settings.connection.client_options,
        sources=(names.detections, names.events),
        make_task=make,
        state=settings.directory / OBJECTS,
        outbox=outbox,
        metrics=metrics,
        health=health,
        contiguous=True,
        exclusive=names.candidates,
        term_seconds=settings.times.rebalance * 0.8,
    )


def react_app(
    topology: Topology,
    names: TopicNames,
    settings: WorkerSettings,
    url: str,
    outbox: Outbox,
    metrics: Metrics,
    health: Health,
) -> StepApp:
    """Candidates become reactions."""
    dispatcher = Dispatcher(open_sinks(topology, settings.state))

    def make(_partition: int, backend: Backend) -> ReactTask:
        return ReactTask(topology, names, backend, dispatcher, metrics)

    return StepApp(
        REACT,
        names,
        _settings(REACT, names, settings, url),
        settings.connection.client_options,
        sources=(names.candidates,),
        make_task=make,
        state=settings.directory / REACT,
        outbox=outbox,
        metrics=metrics,
        health=health,
        contiguous=False,  # candidates are compacted
        term_seconds=settings.times.rebalance * 0.8,
    )
