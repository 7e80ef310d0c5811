"""A value of a record's metadata as a cell of a typed column; what no column can hold, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

NAMED_NUMBERS = pa.list_(pa.struct([("name", pa.string()), ("value", pa.float64())]))
"""A dict from names to numbers, such as of SNR by phase."""

_NUMBER = "$number"


def plain(value: Any, where: str) -> Any:
    """A value in JSON's own types: numpy's scalars and arrays become Python's, tuples lists.

    Raises TypeError for any other type, ValueError for a name that begins with `$`, which marks our own.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if isinstance(value, dict):
        return {_checked_name(key, where): plain(item, where) for key, item in value.items()}
    raise TypeError(
        f"{where} must be a number, text, bool, None, or a list or dict of them, "
        f"found {type(value).__name__}: convert it first"
    )


def _checked_name(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{where}: names must be text, found {name!r}")
    if name.startswith("$"):
        raise ValueError(f"{where}: no name may begin with $, found {name!r}: rename it")
    return name


def to_cell(value: Any, kind: pa.DataType) -> Any:
    """The value as a column of this type can hold it, None where it cannot.

    value: of `plain`. NaN is None: in a column, unknown is null.
    """
    if kind == NAMED_NUMBERS:
        if not isinstance(value, dict):
            return None
        value = [{"name": name, "value": number} for name, number in value.items()]
    try:
        cell = pa.scalar(value, type=kind).as_py()
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def from_cell(cell: Any, kind: pa.DataType) -> Any:
    """The inverse of `to_cell`; what is null inside of a struct is left out."""
    if kind == NAMED_NUMBERS:
        return {item["name"]: item["value"] for item in cell}
    return _without_null(cell)


def _without_null(cell: Any) -> Any:
    if isinstance(cell, dict):
        return {name: _without_null(item) for name, item in cell.items() if item is not None}
    return [_without_null(item) for item in cell] if isinstance(cell, list) else cell


def same(one: Any, other: Any) -> bool:
    """Whether two values of `plain` are equal in value and type: 3 is not 3.0, NaN is NaN."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def to_json(values: Mapping[str, Any]) -> str | None:
    """Values of `plain` as strict JSON, which has no NaN: that is `{"$number": "nan"}`. None for no value."""
    return json.dumps(_tagged(values), sort_keys=True, allow_nan=False) if values else None


def from_json(text: str | None) -> dict[str, Any]:
    """The inverse of `to_json`."""
    return {} if text is None else json.loads(text, object_hook=_untagged)


def _tagged(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: repr(value)}
    if isinstance(value, Mapping):
        return {name: _tagged(item) for name, item in value.items()}
    return [_tagged(item) for item in value] if isinstance(value, list) else value


def _untagged(found: dict[str, Any]) -> Any:
    return float(found[_NUMBER]) if found.keys() == {_NUMBER} else found
