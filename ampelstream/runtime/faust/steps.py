"""The two stateful steps as Faust applications."""

from ampelstream.core.events import MapCache
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.dispatch import Dispatcher
from ampelstream.runtime.faust.app import StepApp
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


def _settings(step: str, names: TopicNames, context: WorkerContext, url: str) -> dict[str, object]:
    return faust_settings(
        names.app(step),
        context.connection.client_options(),
        url=url,
        directory=context.directory / "faust" / step,
        times=context.settings.times,
        instance=None if context.instance is None else f"{context.instance}-{step}",
    )


def objects_app(
    topology: Topology,
    names: TopicNames,
    context: WorkerContext,
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
        _settings(OBJECTS, names, context, url),
        context.connection.client_options,
        sources=(names.detections, names.events),
        make_task=make,
        state=context.directory / OBJECTS,
        outbox=outbox,
        metrics=metrics,
        health=health,
        contiguous=True,
        exclusive=names.candidates,
        term_seconds=context.settings.times.rebalance * 0.8,
    )


def react_app(
    topology: Topology,
    names: TopicNames,
    context: WorkerContext,
    url: str,
    outbox: Outbox,
    metrics: Metrics,
    health: Health,
) -> StepApp:
    """Candidates become reactions."""
    dispatcher = Dispatcher(open_sinks(topology, context.settings.state))

    def make(_partition: int, backend: Backend) -> ReactTask:
        return ReactTask(topology, names, backend, dispatcher, metrics)

    return StepApp(
        REACT,
        names,
        _settings(REACT, names, context, url),
        context.connection.client_options,
        sources=(names.candidates,),
        make_task=make,
        state=context.directory / REACT,
        outbox=outbox,
        metrics=metrics,
        health=health,
        contiguous=False,  # candidates are compacted
        term_seconds=context.settings.times.rebalance * 0.8,
    )
