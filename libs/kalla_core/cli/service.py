"""A subcommand of `kallad`, its flags made of the settings that the service declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Protocol, TypeVar, cast

import typer

from kalla_core.settings.declare import Declared, load

T = TypeVar("T", bound=Declared)
T_contra = TypeVar("T_contra", bound=Declared, contravariant=True)


class Serve(Protocol[T_contra]):
    """Runs a service until it is told to end; returns the exit code."""

    def __call__(self, settings: T_contra) -> int:
        """Serve."""
        ...


def add_service(
    app: typer.Typer, names: tuple[str, ...], kind: type[T], serve: Callable[[T], int], help: str
) -> None:
    """Add a subcommand that reads settings from its flags and variables, and serves.

    Args:
        names: the first is shown, the others are aliases.
        kind: the settings; each with a flag becomes one.
        help: what the service does.
    """

    def command(**flags: Any) -> None:
        from kalla_core.cli.failures import ExitCode, guarded

        debug = flags.pop("debug")
        raise typer.Exit(guarded(lambda: ExitCode(serve(load(kind, **flags))), debug=debug))

    command.__doc__ = help
    parameters = [*_parameters(kind), _debug()]
    signature = inspect.Signature(parameters)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    for index, name in enumerate(names):
        app.command(name, hidden=index > 0)(command)


def _parameters(kind: type[Declared]) -> list[inspect.Parameter]:
    parameters = []
    for name, field in kind.model_fields.items():
        extra = cast("dict[str, str]", field.json_schema_extra)
        if not extra["flag"]:
            continue
        help = f"{field.description} [default: {extra['shown']}]"
        value = bool if field.annotation is bool else str
        option = typer.Option(extra["flag"], help=help, show_default=False)
        parameters.append(_parameter(name, Annotated[value | None, option], None))
    return parameters


def _debug() -> inspect.Parameter:
    option = typer.Option("--debug", help="Show the traceback of an error.")
    return _parameter("debug", Annotated[bool, option], False)


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
