"""From a YAML file to a dataclass, strictly: an unknown key is an error that lists the known ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import dacite
import yaml

ConfigT = TypeVar("ConfigT")

CONFIG_FOLDER = Path(__file__).parent


def load_config(config_class: type[ConfigT], path: str | Path, overrides: Sequence[str] = ()) -> ConfigT:
    """A run's configuration from YAML, with `key.sub=value` overrides applied on top.

    path: a YAML file, or the name of a shipped one relative to the configs folder (`pretrain/tiny.yaml`).

    Raises FileNotFoundError where there is no such file, ValueError for an unknown key or a wrong type.
    """
    file = Path(path)
    if not file.is_file():
        file = CONFIG_FOLDER / path
    if not file.is_file():
        shipped = sorted(str(p.relative_to(CONFIG_FOLDER)) for p in CONFIG_FOLDER.rglob("*.yaml"))
        raise FileNotFoundError(f"no configuration {path}: give a YAML file or one of the shipped {shipped}")
    return build_config(config_class, yaml.safe_load(file.read_text()) or {}, overrides, source=str(path))


def build_config(
    config_class: type[ConfigT],
    settings: dict[str, Any],
    overrides: Sequence[str] = (),
    source: str = "settings",
) -> ConfigT:
    """A dataclass from a nested dict, with overrides, strictly."""
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ValueError(f"an override is written key=value, found {override!r}")
        *parents, last = key.split(".")
        place = settings
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(value)
    # Lists in YAML stand for tuples in the (frozen) dataclasses.
    options = dacite.Config(strict=True, cast=[tuple, float])
    try:
        return dacite.from_dict(config_class, settings, options)  # type: ignore[type-var]
    except dacite.UnexpectedDataError as error:
        names = [f.name for f in dataclasses.fields(config_class)]  # type: ignore[arg-type]
        raise ValueError(f"{source}: {error}; {config_class.__name__} knows {names}") from error
    except dacite.DaciteError as error:
        raise ValueError(f"{source}: {error}") from error


def save_config(config: Any, path: str | Path) -> None:
    """Write a configuration as YAML that `load_config` reads back to an equal object."""
    Path(path).write_text(yaml.safe_dump(as_plain(dataclasses.asdict(config)), sort_keys=False))


def as_plain(value: Any) -> Any:
    """Nested dicts, lists and scalars, with tuples as lists, as YAML and JSON want them."""
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value
