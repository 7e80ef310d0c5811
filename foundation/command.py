"""A run from its YAML on the command line, in one process or as one of several."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..configs.loader import load_config
from .processes import this_process

ConfigT = TypeVar("ConfigT")


def run_from_yaml(
    usage: str, config_class: type[ConfigT], run: Callable[[ConfigT], str], arguments: Sequence[str]
) -> int:
    """Run what `CONFIG [key=value …]` asks for, and print what it says, from the first process.

    Returns the exit status: 2 for wrong use, 1 for a failure that the user can mend, told in one line.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    try:
        config = load_config(config_class, arguments[0], arguments[1:])
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        said = run(config)
    except (OSError, ArithmeticError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if this_process().is_main_process:
        print(said)
    return 0
