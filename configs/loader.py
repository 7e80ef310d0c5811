"""From a YAML file to a dataclass, strictly: an unknown key is an error that lists the known ones."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

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
    try:
        settings = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    return build_config(config_class, {} if settings is None else settings, overrides, source=str(path))


def build_config(
    config_class: type[ConfigT],
    settings: dict[str, Any],
    overrides: Sequence[str] = (),
    source: str = "settings",
) -> ConfigT:
    """A dataclass from a nested dict, with overrides, strictly. The dict itself stays as it was."""
    if not isinstance(settings, dict):
        raise ValueError(f"{source}: a configuration maps keys to values, found {settings!r}")
    settings = copy.deepcopy(settings)
    for override in overrides:
        _apply_override(settings, override)
    _check_keys(config_class, settings, source)
    options = dacite.Config(strict=True, type_hooks={float: _as_float})
    try:
        return dacite.from_dict(config_class, _with_tuples(settings), options)
    except (dacite.DaciteError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


def save_config(config: Any, path: str | Path) -> None:
    """Write a configuration as YAML that `load_config` reads back to an equal object."""
    partial = Path(f"{path}.partial")
    partial.write_text(yaml.safe_dump(as_plain(dataclasses.asdict(config)), sort_keys=False))
    partial.replace(path)


def as_plain(value: Any) -> Any:
    """Nested dicts, lists and scalars, with tuples as lists, as YAML and JSON want them."""
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value


def _apply_override(settings: dict[str, Any], override: str) -> None:
    """Set `key.sub=value` in nested settings, with the value read as YAML."""
    key, equals, value = override.partition("=")
    if not equals:
        raise ValueError(f"an override is written key=value, found {override!r}")
    *parents, last = key.split(".")
    place = settings
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            raise ValueError(f"override {override!r}: {parent} is {place!r} and has no keys of its own")
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"override {override!r}: the value is not YAML ({error}): quote it") from error


def _check_keys(config_class: type, settings: dict[str, Any], where: str) -> None:
    """Raise ValueError for a key that its own dataclass, however deeply nested, lacks, or text for a list."""
    known = [f.name for f in dataclasses.fields(config_class)]
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown}; {config_class.__name__} knows {known}")
    types = get_type_hints(config_class)
    for key, value in settings.items():
        origins = [get_origin(annotation) for annotation in (types[key], *get_args(types[key]))]
        if isinstance(value, str) and tuple in origins:
            raise ValueError(f"{where}: {key} must be a list such as [{value}], found the text {value!r}")
        nested = list(_dataclasses_in(types[key]))
        # Among several classes the keys alone do not tell which is meant: dacite finds the one that fits.
        if len(nested) == 1:
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, dict):
                    _check_keys(nested[0], item, f"{where}: {key}")


def _dataclasses_in(annotation: Any) -> Iterator[type]:
    """The dataclasses that an annotation such as `X`, `X | None` or `tuple[X, ...]` names."""
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        yield annotation
    for argument in get_args(annotation):
        yield from _dataclasses_in(argument)


def _with_tuples(value: Any) -> Any:
    """Nested settings with lists as tuples, which is what frozen dataclasses hold and YAML cannot write."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_with_tuples(item) for item in value)
    return value


def _as_float(value: Any) -> Any:
    """Numbers as float, also the 1e-3 that YAML takes for text; the rest as it is, for the type check."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
