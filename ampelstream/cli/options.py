"""Options: those that several commands share, and those that are made from a settings model."""

import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ampelstream.runtime.settings import Option, WorkerSettings, create_command
from ampelstream.wording import problems

if TYPE_CHECKING:
    from ampelstream.runtime.kafka.connection import Connection

__all__ = [
    "BrokerOption",
    "OptionalBroker",
    "SchemasOption",
    "TopologyArgument",
    "connect",
    "create_command",
    "only_one",
    "quiet_libraries",
    "takes",
]

M = TypeVar("M", bound=BaseModel)
_UNITS = {"s": "SECONDS"}
"""What the help shows for a value with a unit of measure."""


def _flag(name: str) -> str:
    """The option of a field, as it is typed."""
    return f"--{name.replace('_', '-')}"


def _bound(field: FieldInfo, what: str) -> Any:
    """A bound (``ge``, ``le``) of a field."""
    found = (getattr(one, what, None) for one in field.metadata)
    return next((value for value in found if value is not None), None)


def _option(field: FieldInfo) -> Option:
    return next((one for one in field.metadata if isinstance(one, Option)), Option())


def _shown(name: str, field: FieldInfo, *, panel: bool = True) -> Any:
    """What typer has to know of a field beside its type and default."""
    option = _option(field)
    if option.positional:
        return typer.Argument(help=field.description)
    # typer would give a switch that is off by default a twin that switches it off
    names = [_flag(name)] if field.annotation is not bool or field.default is False else []
    return typer.Option(
        *names,
        help=field.description,
        envvar=option.variable,
        metavar=option.metavar or _UNITS.get(option.unit or ""),
        min=_bound(field, "ge"),
        max=_bound(field, "le"),
        rich_help_panel=option.panel if panel else None,
    )


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """A parameter of the command for a field of the model."""
    kind: Any = field.annotation
    default: Any = inspect.Parameter.empty if field.is_required() else field.default
    if getattr(kind, "__origin__", None) is tuple:
        if _option(field).commas:
            kind, default = str, ",".join(default)
        else:
            kind, default = list[kind.__args__[0]] | None, None
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,  # so that those with and without defaults may mix
        default=default,
        annotation=Annotated[kind, _shown(name, field)],
    )


def _wrong_usage(error: ValidationError, model: type[BaseModel], given: Any) -> typer.BadParameter:
    """What is wrong first, in one line that names the option as it is typed."""
    first = next(problems(error, model, given))
    option = _flag(str(first.path[0])) if first.path else None
    return typer.BadParameter(first.text, param_hint=option)


def takes(model: type[M]) -> Callable[[Callable[[M], None]], Callable[..., None]]:
    """Make a command of a function that takes settings: each field becomes an option.

    The name of an option is that of the field; its text, bounds and default are the field's; where
    the help shows it, and its environment variable, say the `Option` among the field's annotations.
    A wrong value is wrong usage (exit code 2), in one line.

    Parameters
    ----------
    model
        The settings.
    """
    fields = model.model_fields
    with_commas = {name for name, field in fields.items() if _option(field).commas}
    parameters = [_parameter(name, field) for name, field in fields.items()]

    def decorate(function: Callable[[M], None]) -> Callable[..., None]:
        def command(**given: Any) -> None:
            values = {name: value for name, value in given.items() if value is not None}
            for name in values.keys() & with_commas:
                values[name] = tuple(p.strip() for p in values[name].split(",") if p.strip())
            try:
                settings = model.model_validate(values)
            except ValidationError as error:
                raise _wrong_usage(error, model, values) from None
            function(settings)

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # (typer reads it)
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


_FIELDS = WorkerSettings.model_fields
BrokerOption = Annotated[str, _shown("broker", _FIELDS["broker"], panel=False)]
OptionalBroker = Annotated[str | None, _shown("broker", _FIELDS["broker"], panel=False)]
SchemasOption = Annotated[str | None, _shown("schemas", _FIELDS["schemas"], panel=False)]
TopologyArgument = Annotated[str, _shown("topology", _FIELDS["topology"])]


def connect(broker: str) -> "Connection":
    """Give the connection that ``--broker`` means; ConfigError where it means none."""
    from ampelstream.runtime.kafka.sources import load_connection

    quiet_libraries()
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        # a command ends by the first failure, and says it in words of ours
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return load_connection(broker)


def quiet_libraries() -> None:
    """Keep the Kafka client from logging every subscription and login, stamina every retry.

    Retries are set up here and nowhere else: each command that talks to Kafka calls this.
    """
    from ampelstream.runtime.service.libraries import log_retries

    log_retries()
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        logging.getLogger("aiokafka").setLevel(logging.WARNING)


def only_one(context: typer.Context, **ways: str) -> None:
    """Refuse two of several parameters; what only the environment says does not count.

    Parameters
    ----------
    context
        Of the command.
    ways
        Names of parameters, and how a person calls each.
    """
    said = [
        way
        for name, way in ways.items()
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if len(said) > 1:
        raise typer.BadParameter(f"give one of {' and '.join(said)}, not both")
