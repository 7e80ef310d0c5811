"""One page that shows a data set, with its figures as PNG beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..data.records import Record
from . import data_figures as draw
from .data_columns import describe_records, measured_snr_db
from .example_windows import example_positions, examples_figure
from .report import PNG_DPI, Report

EXAMPLES_PER_FIGURE = 4


@dataclass(frozen=True, kw_only=True)
class DataPageConfig:
    """What a page about a data set shows.

    num_examples: records drawn with their labels. num_measured: records of which the signal-to-noise ratio is
        measured where their metadata do not tell it. seed: of both choices.
    """

    num_examples: int = 12
    num_measured: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.num_examples, self.num_measured) < 0:
            raise ValueError(
                "num_examples and num_measured must not be negative, "
                f"found {self.num_examples} and {self.num_measured}"
            )


@dataclass(frozen=True)
class _Part:
    """A figure of the page: its file, heading, how it is drawn, what it shows in words, and what it needs."""

    name: str
    title: str
    figure: Callable[[pd.DataFrame], Figure | None]
    caption: str
    needs: tuple[str, ...] = ()


_PARTS = (
    _Part(
        "map",
        "Where",
        draw.map_of_data,
        "Epicentres and stations. The bar is to scale at the map's middle latitude.",
        ("event_latitude_deg", "station_latitude_deg"),
    ),
    _Part("time", "When", draw.time_figure, "Starts of the records.", ("start_time",)),
    _Part("labels", "Labels", draw.label_figure, "Arrivals by phase, and who picked them.", ("p_s", "s_s")),
    _Part(
        "snr",
        "How clear",
        draw.snr_figure,
        "Power above 1 Hz of the 3 s after P over that of 5 to 0.5 s before it, vertical component, unless "
        "the data set tells its own.",
        ("snr_db",),
    ),
    _Part(
        "s_minus_p",
        "P to S",
        draw.s_minus_p_figure,
        "Time from P to S, and against distance. Points far from the line deserve a look.",
        ("p_s", "s_s", "distance_km"),
    ),
    _Part(
        "magnitude_distance",
        "Magnitude and distance",
        draw.magnitude_distance_figure,
        "Magnitudes against epicentral distances.",
        ("source_magnitude", "distance_km"),
    ),
    _Part(
        "source",
        "Events",
        draw.source_figure,
        "Magnitudes and depths, each event once.",
        ("source_magnitude", "source_depth_km"),
    ),
    _Part("rates", "Rates and lengths", draw.rate_figure, "Native sampling rates and lengths."),
    _Part(
        "classes",
        "Components, units, classes",
        draw.class_figure,
        "Records by their components, unit and event type.",
    ),
)


def write_data_page(
    records: Sequence[Record], folder: str | Path, title: str, config: DataPageConfig | None = None
) -> Path:
    """Draw a data set: `data.html` with its numbers as `data.json`, and each figure as PNG, in `folder`.

    Raises ValueError where there is no record.
    """
    config = config or DataPageConfig()
    if not len(records):
        raise ValueError(
            "expected at least one record to draw, found none: check the path and what was skipped"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = describe_records(records)
    measured = _measure_snr(table, records, config)
    report = Report(title)
    _summary(report, table)
    for part in _PARTS:
        _add(report, part, table, folder, measured)
    _add_examples(report, records, folder, config)
    return report.write(folder / "data.html")


def _measure_snr(table: pd.DataFrame, records: Sequence[Record], config: DataPageConfig) -> str:
    """Fill in the signal-to-noise ratio of P of records whose metadata do not tell it; say of how many."""
    candidates = np.flatnonzero(table.snr_db.isna() & table.p_s.notna())
    generator = np.random.default_rng(config.seed)
    count = min(config.num_measured, len(candidates))
    chosen = np.sort(generator.choice(candidates, count, replace=False))
    if count:
        snr = [measured_snr_db(records[position]) for position in chosen.tolist()]
        table.loc[chosen, "snr_db"] = snr
    if count == len(candidates):
        return ""
    return f"Measured on {count} records, chosen at random (seed {config.seed})."


def _summary(report: Report, table: pd.DataFrame) -> None:
    known = table[table.station_id != ""].station_id
    rows = [
        ("records", len(table)),
        ("events (records without an event id count as one each)", table.event_key.nunique()),
        ("stations", known.nunique()),
        ("hours", round(float(table.duration_s.sum()) / 3600, 2)),
        ("records with P", int(table.p_s.notna().sum())),
        ("records with S", int(table.s_s.notna().sum())),
        ("records without a labelled arrival", int((table.phases.str.len() == 0).sum())),
    ]
    report.table(pd.DataFrame(rows, columns=["what", "number"]), "The data set at a glance")


def _add(report: Report, part: _Part, table: pd.DataFrame, folder: Path, measured: str) -> None:
    report.section(part.title)
    unknown = _unknown(table, part.needs)
    figure = part.figure(table)
    if figure is None:
        report.text(f"Not shown. {unknown}")
        return
    caption = " ".join(
        text for text in (part.caption, measured if part.name == "snr" else "", unknown) if text
    )
    _save(figure, folder / f"{part.name}.png")
    report.figure(figure, caption, alt=f"{part.title}: {part.caption}")


def _unknown(table: pd.DataFrame, needs: Sequence[str]) -> str:
    """In words, of how many records something is not known."""
    counts = {name: int(table[name].isna().sum()) for name in needs}
    told = [f"{_WORDS[name]} for {count} of {len(table)}" for name, count in counts.items() if count]
    return f"Unknown: {', '.join(told)} records." if told else ""


_WORDS = {
    "event_latitude_deg": "epicentre",
    "station_latitude_deg": "station's place",
    "start_time": "start",
    "p_s": "P",
    "s_s": "S",
    "snr_db": "ratio",
    "distance_km": "distance",
    "source_magnitude": "magnitude",
    "source_depth_km": "depth",
}


def _add_examples(report: Report, records: Sequence[Record], folder: Path, config: DataPageConfig) -> None:
    report.section("Examples")
    positions = example_positions(len(records), config.num_examples, config.seed)
    report.text(
        f"{len(positions)} records chosen at random (seed {config.seed}), as they are: not filtered, each "
        "component scaled by itself. Lines are the labels: blue P, orange S, purple others."
    )
    for number, first in enumerate(range(0, len(positions), EXAMPLES_PER_FIGURE), 1):
        shown = [records[position] for position in positions[first : first + EXAMPLES_PER_FIGURE]]
        figure = examples_figure(shown)
        _save(figure, folder / f"examples_{number}.png")
        names = ", ".join(record.record_id for record in shown)
        report.figure(figure, f"Examples {number}", alt=f"Waveforms with labels of {names}")


def _save(figure: Figure, path: Path) -> None:
    """Write a PNG to a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    figure.savefig(temporary, format="png", dpi=PNG_DPI, metadata={"Software": None})
    temporary.replace(path)
