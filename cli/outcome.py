"""What every command shares: one line for what a user can mend, `--json` for machines, the exit status."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

MENDABLE = (ValueError, OSError, ArithmeticError)
"""What wrong files, settings and data raise. Anything else is a fault of ours, and its traceback is shown."""

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON; all else goes to stderr.")]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did.

    numbers: the results for machines; lines: the same for people.
    failures: what did not succeed, one line each.
    """

    numbers: dict[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def command(
    app: typer.Typer, name: str, example: str
) -> Callable[[Callable[..., Outcome]], Callable[..., Outcome]]:
    """Make a function that returns an `Outcome` a command of `app`, with `--json` and `--debug` added.

    example: a whole command line, shown by `--help` as it stands (`\\b` keeps it from being wrapped).
    """

    def register(function: Callable[..., Outcome]) -> Callable[..., Outcome]:
        @functools.wraps(function)
        def run(*, json: bool, debug: bool, **arguments: Any) -> None:
            with _errors_in_one_line(debug):
                # Progress and libraries print where they like: with --json, stdout is for the results alone.
                with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
                    outcome = function(**arguments)
                _print(outcome, json)
            if outcome.failures:
                raise typer.Exit(1)

        added = {"json": Json, "debug": Debug}
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())
        parameters += [
            inspect.Parameter(key, keyword_only, default=False, annotation=annotation)
            for key, annotation in added.items()
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, epilog=f"\b\nExample:\n  {example}")(run)
        return function

    return register


@contextlib.contextmanager
def _errors_in_one_line(debug: bool) -> Iterator[None]:
    try:
        yield
    except MENDABLE as error:
        if debug:
            traceback.print_exc()
        complain(" ".join(str(error).split()) or type(error).__name__)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        complain("interrupted")
        raise typer.Exit(130) from error


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"seisfm: {message}", file=sys.stderr)


def _print(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        from ..eval.report import to_json

        results = outcome.numbers | {"failures": list(outcome.failures)}
        print(to_json(results), end="")
    for line in () if as_json else outcome.lines:
        print(line)
    for failure in outcome.failures:
        complain(failure)


def scalars(results: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """`name  value` for each number or word in nested results, for people to read."""
    for key, value in results.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from scalars(value, f"{name}.")
        elif isinstance(value, float):
            yield f"{name}  {value:.4g}"
        elif not isinstance(value, list | tuple):
            yield f"{name}  {value}"


def skipped_lines(skipped: Iterable[Any]) -> list[str]:
    """One line for each thing that was left out, with its reason."""
    return [f"skipped {entry.item}: {entry.reason}" for entry in skipped]


def skipped_summary(skipped: Iterable[Any], file: Path, most: int = 10) -> list[str]:
    """The same, with one line for each reason that more than `most` share, whatever its numbers.

    file: where all of them are listed.
    """
    alike: dict[str, list[Any]] = {}
    for entry in skipped:
        alike.setdefault(re.sub(r"\d+(\.\d+)?", "#", entry.reason), []).append(entry)
    lines = []
    for entries in alike.values():
        few = entries if len(entries) <= most else entries[:1]
        lines += skipped_lines(few)
        if len(few) < len(entries):
            lines[-1] += f" … and {len(entries) - 1} more like it: {file}"
    return lines


def skipped_numbers(skipped: Iterable[Any]) -> list[dict[str, str]]:
    """The same for machines."""
    return [{"item": entry.item, "reason": entry.reason} for entry in skipped]
