"""The command line that drivers of studies share: a YAML, changes of it, and which arms."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..configs.loader import load_config


def study_arguments(
    parser: argparse.ArgumentParser, study_class: type[Any], words: Sequence[str] | None = None
) -> argparse.Namespace:
    """What was asked for, with the study's configuration as `study` and the names of its arms as `arms`.

    An override may also follow the names of arms, which `--arms` would swallow. `arms` is None where all are
    meant. parser: with whatever else the driver takes. study_class: a dataclass whose `arms` have a `name`.

    Ends the program with status 2 for an arm that does not exist.
    """
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", help="key=value")
    parser.add_argument("--arms", nargs="*", help="only these; all without it")
    arguments = parser.parse_intermixed_args(words)
    if arguments.arms is not None:
        arguments.overrides += [word for word in arguments.arms if "=" in word]
        arguments.arms = [word for word in arguments.arms if "=" not in word]
    arguments.study = load_config(study_class, arguments.config, arguments.overrides)
    known = [arm.name for arm in arguments.study.arms]
    if unknown := sorted(set(arguments.arms or ()) - set(known)):
        parser.error(f"unknown arms {unknown}: there are {known}")
    return arguments
