"""What a topology file may say, as pydantic models: an unknown key is an error."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationInfo,
    field_validator,
    model_validator,
)

__all__ = [
    "AlertsSpec",
    "AssociateSpec",
    "ChannelSpec",
    "EventsSpec",
    "KafkaSpec",
    "LightCurveSpec",
    "RankSpec",
    "ReactionSpec",
    "RetentionSpec",
    "SinkSpec",
    "TopicRetentionSpec",
    "TopologySpec",
    "UnitSpec",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_text(value: Any) -> Any:
    """A version written as a YAML number is meant as text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class UnitSpec(_Strict):
    """One unit.

    Attributes
    ----------
    unit
        Name of one that ships (`ampelstream units list`) or that an installed package offers, or
        the import path of one of your own: `module:Class`.
    name
        What results are called in this channel; by default as the class. Two entries of one class
        need names.
    config
        Keys of the unit.
    """

    unit: str
    name: str = ""
    config: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """The name, by default that of the class."""
        return self.name or self.unit.replace(":", ".").rsplit(".", 1)[-1]


class EventsSpec(_Strict):
    """Which events are followed.

    Attributes
    ----------
    kinds
        Kinds of events: gravitational waves, neutrinos, gamma-ray bursts, X-ray transients, fast
        radio bursts, and others.
    where
        A condition on fields of the event's revision (see events.md); empty: all of these kinds.
    skymap
        Which map counts where a notice has two: the one combined with an external coincidence, or
        the event's own.
    test_events
        Whether tests, injections and mock events (MS...) are followed, too.
    """

    kinds: tuple[Literal["gw", "neutrino", "grb", "xray", "frb", "other"], ...] = ("gw",)
    where: str = ""
    skymap: Literal["combined", "own"] = "combined"
    test_events: bool = False


class AlertsSpec(_Strict):
    """Which alerts a channel looks at.

    Attributes
    ----------
    survey
        Whose.
    where
        A condition on fields of the alert's own detection; empty: all. It is asked before filters.
    fields
        Fields of the alerts that this version does not know, since the survey's schema has gained
        them, and what they hold. No part of the hash: no candidate depends on it.
    """

    survey: str = "ztf"
    where: str = ""
    fields: Annotated[dict[str, Literal["number", "truth", "text"]], Field(exclude=True)] = {}


class LightCurveSpec(_Strict):
    """Time range that units see [d before and after the trigger].

    In a channel that follows no events there is no trigger: ``before`` is counted from the last
    alert, by default without end, and everything later is seen.

    Attributes
    ----------
    before
        Days before the trigger.
    after
        Days after it; by default as the window.
    """

    before: Annotated[float, Field(ge=0)] = 50.0
    after: Annotated[float, Field(gt=0)] | None = None


class RankSpec(_Strict):
    """Which result field a listing is sorted by.

    Attributes
    ----------
    field
        `UNIT.FIELD`, a number.
    order
        Which values come first: the largest (descending) or the smallest.
    """

    field: str
    order: Literal["ascending", "descending"] = "descending"


class AssociateSpec(_Strict):
    """Joining of light curves of one position.

    Attributes
    ----------
    radius_arcsec
        Objects of other surveys that lie this close belong together [arcsec].
    """

    radius_arcsec: Annotated[float, Field(gt=0, le=60)] = 1.0


class ChannelSpec(_Strict):
    """One scientist's selection: objects inside the regions of events, or objects as they are.

    Attributes
    ----------
    follow
        With `events` a candidate is an object inside the region and window of an event; with `none`
        every object with an alert that passes is one.
    alerts
        Which alerts it looks at.
    filters
        Filters of alerts; one passes that all of them accept.
    region
        Credible level of the region, 0 to 1.
    window
        First and last time of an alert, in days after the trigger.
    match
        Filters of an object and an event.
    lightcurve
        Which part of the light curve units see.
    associate
        Join the light curves of objects of other surveys at the same position; without it, an
        object's own is seen. All objects must then lie in one partition (`kafka.partitions: 1`).
    units
        What is computed, in this order.
    rank_by
        What listings are sorted by; `UNIT.FIELD` alone means descending.
    """

    follow: Literal["events", "none"] = "events"
    alerts: AlertsSpec = AlertsSpec()
    filters: tuple[UnitSpec, ...] = ()
    region: Annotated[float, Field(gt=0, le=1)] = 0.9
    window: tuple[FiniteFloat, FiniteFloat] = (0.0, 3.0)
    match: tuple[UnitSpec, ...] = ()
    lightcurve: LightCurveSpec = LightCurveSpec()
    associate: AssociateSpec | None = None
    units: tuple[UnitSpec, ...] = ()
    rank_by: RankSpec | None = None

    @field_validator("rank_by", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"field": value} if isinstance(value, str) else value

    @field_validator("window")
    @classmethod
    def _rises(cls, window: tuple[float, float]) -> tuple[float, float]:
        if window[0] >= window[1]:
            raise ValueError(
                "must rise from the first day after the trigger to the last, as [0, 3]"
            )
        return window

    @model_validator(mode="after")
    def _nothing_of_events(self) -> "ChannelSpec":
        """A key that would have no effect misleads."""
        if self.follow == "events":
            return self
        idle = sorted({"region", "window", "match"} & self.model_fields_set)
        if "after" in self.lightcurve.model_fields_set:
            idle.append("lightcurve.after")
        if idle:
            raise ValueError(
                f"it follows no events, so that {', '.join(idle)} would have no effect: take that "
                "out, or write `follow: events`"
            )
        return self


class SinkSpec(_Strict):
    """Where a reaction goes: `console`, or a file.

    Attributes
    ----------
    file
        Its path, in the directory of the results or of the state; NDJSON, one reaction a line.
    """

    file: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _console(cls, value: Any) -> Any:
        return {} if value == "console" else value


class ReactionSpec(_Strict):
    """A rule: which candidates, and where to.

    Attributes
    ----------
    name
        What the rule is called; reactions are told apart by it.
    channel
        The channel that it is for; without one, all.
    when
        A condition on a candidate.
    sinks
        Where the message goes.
    """

    name: str
    channel: str | None = None
    when: str
    sinks: Annotated[tuple[SinkSpec, ...], Field(min_length=1)]


class RetentionSpec(_Strict):
    """For how long state is kept [d of event time].

    Attributes
    ----------
    objects
        Since an object's last alert.
    events
        Since the widest window of a channel closed.
    """

    objects: Annotated[float, Field(gt=0)] = 100.0
    events: Annotated[float, Field(gt=0)] = 60.0


_Days = Annotated[float, Field(gt=0)]


class TopicRetentionSpec(_Strict):
    """For how long a topic keeps its records [d since they arrived].

    Candidates, reactions and changelogs keep the last record of each key for ever.

    Attributes
    ----------
    alerts, notices
        What comes in.
    detections, events
        What ingest gives to the objects.
    dead_letters
        What could not be handled.
    parked
        Alerts whose schema is not known yet.
    """

    alerts: _Days = 7.0
    notices: _Days = 30.0
    detections: _Days = 7.0
    events: _Days = 30.0
    dead_letters: _Days = 90.0
    parked: _Days = 90.0


class KafkaSpec(_Strict):
    """The topics of the topology, where it runs on Kafka; no part of its hash.

    Attributes
    ----------
    partitions
        Of each topic whose records are handled in parallel.
    replication
        Copies of each partition; None for three, or as many as there are brokers.
    retention_days
        For how long records are kept.
    """

    partitions: Annotated[int, Field(ge=1, le=512)] = 4
    replication: Annotated[int, Field(ge=1, le=32767)] | None = None
    retention_days: TopicRetentionSpec = TopicRetentionSpec()

    @property
    def said_partitions(self) -> int | None:
        """The number of partitions that the file says; None where it leaves it to the default."""
        return self.partitions if "partitions" in self.model_fields_set else None


class TopologySpec(_Strict):
    """A whole topology file.

    Attributes
    ----------
    name
        Letters, digits and `. _ -`. Topics, groups and the state are called by it.
    version
        Yours; candidates name it.
    description
        For people.
    events
        Which events are followed.
    channels
        The selections, by name.
    react
        Rules: which candidates are sent where.
    retention
        How long state is kept.
    catalogs
        Directory of the catalogues; without it, that of the command or the environment.
    kafka
        Topics, where it runs on Kafka.
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            description="Letters, digits, dots, hyphens and underscores, first a letter or digit. "
            "Topics, groups and the state are called by it.",
        ),
    ]
    version: Annotated[str, BeforeValidator(_as_text)]
    description: str = ""
    events: EventsSpec = EventsSpec()
    channels: Annotated[dict[str, ChannelSpec], Field(min_length=1)]
    react: tuple[ReactionSpec, ...] = ()
    retention: Annotated[RetentionSpec, Field(validate_default=True)] = RetentionSpec()
    catalogs: str | None = None
    kafka: KafkaSpec = KafkaSpec()

    @field_validator("retention")
    @classmethod
    def _objects_outlive_events(cls, kept: RetentionSpec, info: ValidationInfo) -> RetentionSpec:
        """An event is matched until it is forgotten: its objects must still be there then.

        The earliest alert that a window reaches is older than the end of the widest one by all that
        lies between the two.
        """
        channels = info.data.get("channels", {}).values()
        windows = [one.window for one in channels if one.follow == "events"]
        if windows:
            span = max(last for _, last in windows) - min(first for first, _ in windows)
            if kept.objects < kept.events + span:
                raise ValueError(
                    f"objects are kept for {kept.objects:g} d, and events for {kept.events:g} d "
                    f"after windows that span {span:g} d: an alert would be forgotten before its "
                    f"event. Set retention.objects to {kept.events + span:g} or more"
                )
        return kept
