"""The classical references on held-out synthetics and on real sets: what every head stands beside.

    python examples/score_references.py --out runs/references.md

Synthetic records are drawn by the generator with one seed for fitting and another for scoring. Real sets are
read from the folder that SEISFM_DATA names; one that is not there is left out, and said.
"""

import argparse
import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from convert_real_sets import california, chile, ground_motion
from obspy import UTCDateTime
from obspy.geodetics import gps2dist_azimuth
from seisfm.configs.loader import build_config
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.records import Arrival, Record
from seisfm.data.splitting.splits import split_by_event
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.eval.baselines import StaLtaPicker
from seisfm.eval.model_picker import run_picker
from seisfm.eval.pick_metrics import count_picks, match_picks, precision_recall_f1
from seisfm.eval.picking_protocol import PickingProtocolConfig
from seisfm.eval.references.ar_picker import ArPicker
from seisfm.eval.references.first_motion import FirstMotion
from seisfm.eval.references.local_magnitude import (
    LocalMagnitude,
    LocalMagnitudeConfig,
    single_station_distance,
)
from seisfm.eval.references.phase_times import PickedTimes
from seisfm.eval.references.polarization import PolarizationBackAzimuth
from seisfm.eval.references.ratio_discriminant import RatioDiscriminant
from seisfm.eval.references.sp_distance import SpDistance
from seisfm.eval.regression_metrics import regression_scores
from seisfm.eval.source_predictors import SourceDummy, SourcePredictor
from seisfm.eval.source_protocol import SourceRow, SourceScoreConfig, predict_windows, score_sources
from seisfm.eval.source_windows import SourceWindows, SourceWindowsConfig, source_windows

REAL = Path(os.environ.get("SEISFM_DATA", "../shared/data"))
TYPES = (
    "sources.types={earthquake: 0.6, quarry_blast: 0.4, explosion: 0, collapse: 0, "
    "surface_event: 0, noise: 0}"
)
HEADER = (
    "| reference | told | answered | score | 95 % | dummy there | 68 / 90 % coverage |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)
MAIN = {"event_type": "balanced_accuracy", "polarity": "balanced_accuracy"}


def named(predictor: SourcePredictor, name: str) -> SourcePredictor:
    predictor.name = name
    return predictor


def line(row: SourceRow) -> str:
    main = MAIN.get(row.label, "mae")
    score, dummy = row.scores[main], row.dummy.get(main)
    more = {"magnitude": "r2", "distance_km": "r2", "depth_km": "r2", "back_azimuth_deg": "within"}.get(
        row.label
    )
    extra = f", {more} {row.scores[more].value:.2f}" if more else ""
    extra += f", bias {row.scores['bias'].value:+.2f}" if row.label in ("magnitude", "distance_km") else ""
    label = f"{row.label}, P ± {row.jitter_s:g} s" if row.label == "polarity" else row.label
    beside = f"{dummy.value:.2f}" if dummy else ""
    coverage = f"{row.coverage[0.68]:.2f} / {row.coverage[0.9]:.2f}" if row.coverage else ""
    return (
        f"| {row.predictor} | {label} | {row.answered} of {row.labelled} | {main} {score.value:.2f}{extra} | "
        f"{score.low:.2f} to {score.high:.2f} | {beside} | {coverage} |"
    )


def table(rows: Sequence[SourceRow]) -> list[str]:
    ordered = sorted(rows, key=lambda row: (row.label, row.jitter_s))
    return [
        HEADER,
        *(line(row) for row in ordered if not (row.predictor.startswith("dummy") and row.jitter_s)),
    ]


def synthetic(num_events: int) -> list[str]:
    config = build_config(SynthesisConfig, {}, [TYPES])
    cut = SourceWindowsConfig()
    train, test = (source_windows(synthesize_records(config, seed, num_events), cut) for seed in (101, 202))
    picked = PickedTimes(ArPicker())
    magnitude = LocalMagnitude()
    fitted = magnitude.fit(train.harmonized(magnitude.harmonization), per_station=False)
    alone = LocalMagnitude(
        fitted.config, times=picked, distance=single_station_distance(SpDistance(times=picked))
    )
    discriminant = RatioDiscriminant().fit(train.harmonized(RatioDiscriminant.harmonization))
    predictors = [
        named(magnitude, "ML, Hutton & Boore; true P, S, distance"),
        named(fitted, "ML, fitted attenuation; true P, S, distance"),
        named(alone, "ML, fitted; AR picks, S − P distance"),
        named(SpDistance(), "S − P; true P, S"),
        named(SpDistance(times=picked), "S − P; AR picks"),
        named(PolarizationBackAzimuth(), "P polarization; true P"),
        named(PolarizationBackAzimuth(times=picked), "P polarization; AR picks"),
        named(FirstMotion(), "first motion"),
        named(discriminant, "P/S ratio, 4 bands; true P, S"),
    ]
    rows = score_sources(predictors, test, SourceDummy.fit(train), SourceScoreConfig())
    events = len(set(test.event.tolist()))
    head = f"Scored: {len(test)} windows of {events} events (seed 202); fitted on {len(train)} (seed 101)."
    return ["## Synthetic records", "", head, "", *table(rows), ""]


def with_predicted_p(record: Record, model: VelocityModel) -> Record:
    """For cutting alone: P where the layered Earth has it. The references pick for themselves."""
    about = record.metadata
    travel_s = model.travel_time_s(about["path_ep_distance_km"], about["source_depth_km"], "P")
    p_s = UTCDateTime(about["source_origin_time"]).timestamp + float(travel_s) - record.start_time
    return dataclasses.replace(
        record, arrivals=(Arrival(phase="P", time_s=p_s, evaluation="automatic", uncertainty_s=2.0),)
    )


def network_magnitudes(windows: SourceWindows, predictor: SourcePredictor) -> list[str]:
    """The median over an event's stations, beside the catalog's."""
    answers, truth = predict_windows(predictor, windows)["magnitude"], windows.truth("magnitude")
    rows = ["| event | catalog | median of stations | stations |", "| --- | --- | --- | --- |"]
    for event in sorted(set(windows.event.tolist())):
        here = answers[windows.event == event]
        here = here[np.isfinite(here)]
        told = f"{np.median(here):.2f}" if len(here) else "none"
        rows.append(f"| {event} | {truth[windows.event == event][0]:.2f} | {told} | {len(here)} |")
    return rows


def strong_motion() -> list[str]:
    records = [*ground_motion(REAL / "events_groundmotion")[0], *california(REAL / "california_mw")[0]]
    model = VelocityModel.default()
    windows = source_windows(
        [with_predicted_p(record, model) for record in records],
        SourceWindowsConfig(window_s=90.0, p_position_s=(8.0, 20.0)),
    )
    picked = PickedTimes(ArPicker(), {"P": 0.5, "S": 0.5})
    magnitude = named(LocalMagnitude(times=picked), "ML, Hutton & Boore; AR picks, catalog distance")
    predictors = [
        magnitude,
        named(
            LocalMagnitude(times=picked, distance=single_station_distance(SpDistance(times=picked))),
            "ML, Hutton & Boore; AR picks, S − P distance",
        ),
        named(SpDistance(times=picked), "S − P; AR picks"),
        named(PolarizationBackAzimuth(times=picked), "P polarization; AR picks"),
    ]
    rows = score_sources(predictors, windows, SourceDummy.fit(windows), SourceScoreConfig(jitters_s=(0.0,)))
    why = [f"* {row.predictor}: {dict(row.reasons)}" for row in rows if row.reasons]
    head = f"{len(windows)} windows of {len(set(windows.event.tolist()))} events, M 3.2 to 7.1."
    return [
        "## events_groundmotion and california_mw", "", head, "", *table(rows), "", "Without an answer:", "",
        *why, "", *network_magnitudes(windows, magnitude), "",
    ]  # fmt: skip


def with_path(record: Record) -> Record:
    about = record.metadata
    metres, _, back_azimuth_deg = gps2dist_azimuth(
        about["source_latitude_deg"],
        about["source_longitude_deg"],
        about["station_latitude_deg"],
        about["station_longitude_deg"],
    )
    path = {"path_ep_distance_km": metres / 1000.0, "path_back_azimuth_deg": back_azimuth_deg}
    return dataclasses.replace(record, event_id=record.record_id, metadata={**about, **path})


def relative_magnitude(num_folds: int = 5) -> list[str]:
    records = [with_path(record) for record in chile(REAL / "chile_seisbench")[0]]
    windows = SourceWindowsConfig(window_s=60.0, sampling_rate_hz=20.0, p_position_s=(0.0, 0.0))
    # At 20 Hz there are too few samples for autoregressive models.
    picked = PickedTimes(StaLtaPicker(), {"P": 0.6, "S": 0.5})
    config = LocalMagnitudeConfig(from_counts=True)
    folds = split_by_event(records, {str(i): 1.0 / num_folds for i in range(num_folds)}, 0)
    lines = []
    for slopes in (False, True):
        told, truth, event, dummy = [], [], [], []
        for i in range(num_folds):
            train = [record for name, part in folds.items() if name != str(i) for record in part]
            fit_on, test = source_windows(train, windows), source_windows(folds[str(i)], windows)
            method = LocalMagnitude(config, times=picked).fit(fit_on.batches, slopes=slopes)
            method.harmonization = SpDistance.harmonization
            told.append(predict_windows(method, test)["magnitude"])
            truth.append(test.truth("magnitude"))
            event.append(test.event)
            dummy.append(np.full(len(test), fit_on.truth("magnitude").mean()))
        answers, true, events = (np.concatenate(parts) for parts in (told, truth, event))
        score = regression_scores(answers, true, events, seed=42, tolerance=0.3)
        beside = regression_scores(
            np.where(np.isfinite(answers), np.concatenate(dummy), np.nan),
            true,
            events,
            seed=42,
            tolerance=0.3,
        )
        mae, fitted = score["mae"], "fitted slopes and " if slopes else ""
        lines.append(
            f"| relative ML, {fitted}station constant; STA/LTA + AIC picks | {mae.n} of {len(true)} | "
            f"{mae.value:.2f} ({mae.low:.2f} to {mae.high:.2f}) | {score['r2'].value:.2f} | "
            f"{beside['mae'].value:.2f} |"
        )
    return [
        "## chile_seisbench", "", f"One station, counts at 20 Hz, {num_folds} folds by event.", "",
        "| reference | answered | MAE | R² | dummy's MAE there |", "| --- | --- | --- | --- | --- |",
        *lines, "",
    ]  # fmt: skip


def picks() -> list[str]:
    records = split_by_event(read_phasenet_npz(REAL / "ncedc_phasenet")[0], {"dev": 0.5, "test": 0.5}, 0)[
        "test"
    ]
    windows = PickingProtocolConfig().cut(records)
    rows = [
        "| picker | phase | P / R / F1 at 0.1 s | at 0.5 s | picks compared |",
        "| --- | --- | --- | --- | --- |",
    ]
    for picker in (StaLtaPicker(), ArPicker()):
        found = run_picker(picker, windows)[0].above(picker.default_thresholds)
        for phase in ("P", "S"):
            truth, own = windows.truth(phase), found.of_phase(phase)
            matching = match_picks(truth, own.window, own.time_s, 0.5)
            cells = []
            for tolerance_s in (0.1, 0.5):
                counts = count_picks(
                    truth, own.window, match_picks(truth, own.window, own.time_s, tolerance_s), tolerance_s
                )
                scores = precision_recall_f1(counts.table.sum(axis=0))
                cells.append(" / ".join("–" if math.isnan(x) else f"{x:.2f}" for x in scores))
            rows.append(
                f"| {picker.name} | {phase} | {cells[0]} | {cells[1]} | {int((matching.pick >= 0).sum())} |"
            )
    return ["## ncedc_phasenet, test half", "", f"{len(windows)} windows.", "", *rows, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the table, in Markdown")
    parser.add_argument("--events", type=int, default=200, help="synthetic events to fit on, and to score")
    parser.add_argument("--only", nargs="*", help="some of: synthetic, motion, chile, picks")
    options = parser.parse_args()
    parts = {
        "synthetic": (None, lambda: synthetic(options.events)),
        "motion": ("events_groundmotion", strong_motion),
        "chile": ("chile_seisbench", relative_magnitude),
        "picks": ("ncedc_phasenet", picks),
    }
    lines: list[str] = []
    for name, (folder, make) in parts.items():
        if options.only and name not in options.only:
            continue
        if folder and not (REAL / folder).is_dir():
            lines += [f"{folder}: not in {REAL}, left out.", ""]
            continue
        lines += make()
        print(f"{name}: done", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    partial = options.out.with_name(options.out.name + ".partial")
    partial.write_text("\n".join(lines))
    partial.replace(options.out)


if __name__ == "__main__":
    main()
