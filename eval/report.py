"""One HTML file that tells a result: text, tables and figures, self-contained, with its numbers as JSON."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

SVG_LIMIT_BYTES = 400_000
"""A figure whose SVG is larger goes in as PNG: thousands of segments make a phone's browser slow."""

PNG_DPI = 160

STYLE = """
:root { color-scheme: light dark; --ink: #1b1e23; --paper: #ffffff; --faint: #5b6470; --line: #d5dae1;
  --stripe: #f4f6f8; --accent: #0b5c9e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14171b; --faint: #a3adb9;
  --line: #353c46; --stripe: #1d2127; --accent: #7cc0f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line); }
p { margin: .6rem 0; max-width: 42rem; }
nav ul { padding-left: 1.2rem; margin: 0; } nav a { color: var(--accent); }
.table-box { overflow-x: auto; margin: 1rem 0;
  border: 1px solid var(--line); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
caption { caption-side: top; text-align: left; padding: .5rem .6rem; color: var(--faint); }
th, td { padding: .35rem .6rem; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th { border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { position: sticky; left: 0; background: inherit; }
thead tr, tbody tr { background: var(--paper); }
th.words, td.words { text-align: left; }
tbody tr:nth-child(even) { background: var(--stripe); }
figure { margin: 1.2rem 0; } figcaption { color: var(--faint); font-size: .9rem; margin-top: .4rem; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: .4rem; }
@media print { .table-box { overflow: visible; } }
"""


class Report:
    """A page to read, mail and archive: one file, nothing fetched from anywhere, at home on a phone.

    Parts appear in the order in which they are added. All text is escaped.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []
        self._sections: list[str] = []
        self._numbers: dict[str, Any] = {"title": title, "tables": [], "numbers": {}}

    def section(self, title: str) -> None:
        """Begin a part with a heading, which the table of contents lists."""
        self._sections.append(title)
        self._parts.append(f'<h2 id="section-{len(self._sections)}">{html.escape(title)}</h2>')

    def text(self, text: str) -> None:
        """Plain text; an empty line begins a new paragraph."""
        for paragraph in text.split("\n\n"):
            if paragraph.strip():
                self._parts.append(f"<p>{html.escape(paragraph.strip())}</p>")

    def folded(self, summary: str, text: str) -> None:
        """Text that is shown when the reader opens it, such as the answer to a question above."""
        self._parts.append(
            f"<details><summary>{html.escape(summary)}</summary><p>{html.escape(text)}</p></details>"
        )

    def table(self, table: pd.DataFrame, caption: str) -> None:
        """A table with its columns' names as heads; no index. Its numbers go to the JSON in full."""
        words = [not pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
        head = _row("th", [str(name) for name in table.columns], words)
        rows = [
            _row("td", [format_cell(value) for value in row], words) for row in table.itertuples(index=False)
        ]
        # A box that scrolls must be reachable with the keyboard: tabindex, role and a name.
        label = html.escape(caption, quote=True)
        self._parts.append(
            f'<div class="table-box" tabindex="0" role="region" aria-label="{label}"><table>'
            f"<caption>{html.escape(caption)}</caption><thead>{head}</thead>"
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )
        columns = [str(name) for name in table.columns]
        rows_plain = [dict(zip(columns, row, strict=True)) for row in table.itertuples(index=False)]
        self._numbers["tables"].append({"caption": caption, "rows": plain(rows_plain)})

    def numbers(self, **numbers: Any) -> None:
        """Numbers for the JSON beside the page, by name; they are not shown."""
        self._numbers["numbers"].update(plain(numbers))

    def figure(self, figure: Figure, caption: str, alt: str) -> None:
        """A figure with a caption, and `alt`: what it shows, in words, for those who cannot see it.

        Raises ValueError without `alt`.
        """
        if not alt.strip():
            raise ValueError(f"figure {caption!r} needs an alt text: say in a sentence what it shows")
        kind, data = _render(figure)
        source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        self._parts.append(
            f'<figure><img src="{source}" alt="{html.escape(alt, quote=True)}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page to `path` (.html) and its numbers beside it (.json); each whole or not at all.

        Raises ValueError for another suffix.
        """
        target = Path(path)
        if target.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a report is written to a .html file, found {target}")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target.with_suffix(".json"), to_json(self._numbers))
        write_atomically(target, self._page())
        return target

    def _page(self) -> str:
        title = html.escape(self.title)
        contents = "".join(
            f'<li><a href="#section-{i}">{html.escape(name)}</a></li>'
            for i, name in enumerate(self._sections, 1)
        )
        nav = f'<nav aria-label="Contents"><ul>{contents}</ul></nav>' if len(self._sections) > 2 else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f"<header><h1>{title}</h1>{nav}</header>\n<main>\n"
            + "\n".join(self._parts)
            + "\n</main>\n</body>\n</html>\n"
        )


def format_cell(value: Any) -> str:
    """A value as a reader wants it: four significant digits, a dash for what is missing, times to 10 ms."""
    if (
        value is None
        or value is pd.NaT
        or value is pd.NA
        or (isinstance(value, float | np.floating) and math.isnan(value))
    ):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.0f}" if abs(float(value)) >= 1000 else f"{value:.4g}"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-4]
    return str(value)


def plain(value: Any) -> Any:
    """JSON values: arrays as lists, times as ISO text, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NaT or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def to_json(value: Any) -> str:
    """Indented strict JSON of anything that `plain` takes."""
    return json.dumps(plain(value), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Write text to a temporary name, then rename: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _row(tag: str, cells: list[str], words: list[bool]) -> str:
    kinds = [' class="words"' if word else "" for word in words]
    scope = ' scope="col"' if tag == "th" else ""
    return (
        "<tr>"
        + "".join(f"<{tag}{scope}{k}>{html.escape(c)}</{tag}>" for k, c in zip(kinds, cells, strict=True))
        + "</tr>"
    )


def _render(figure: Figure) -> tuple[str, bytes]:
    """The figure as SVG, or as PNG where that would be heavy; the same bytes for the same figure."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "seisfm", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    if buffer.tell() <= SVG_LIMIT_BYTES:
        return "svg+xml", buffer.getvalue()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return "png", buffer.getvalue()
