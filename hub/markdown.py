"""Numbers as Markdown tables, for model cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..eval.report import format_cell


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers to four digits."""
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def table_of_dicts(rows: Sequence[Mapping[str, Any]]) -> str:
    """One row a mapping; `f1`, `f1_low` and `f1_high` become one column, `0.8 (0.7 to 0.9)`."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    bounds = {f"{name}_{end}" for name in names for end in ("low", "high")}
    columns = [name for name in names if name not in bounds]
    return table(columns, [[_with_interval(row, name) for name in columns] for row in rows])


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as `outer.inner` and value."""
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        rows += flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return rows


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    interval = f" ({_cell(low)} to {_cell(high)})" if low is not None and high is not None else ""
    return f"{_cell(row.get(name))}{interval}"


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return format_cell(value).replace("|", "\\|").replace("\n", " ")
