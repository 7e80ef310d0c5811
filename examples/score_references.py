"""The classical references on held-out synthetics and on real sets, and models beside them.

    python examples/score_references.py --out runs/references.md
    python examples/score_references.py --out runs/model.md --model runs/multitask

Synthetic records are drawn by the generator with one seed for fitting and another for scoring. Real sets are
read from the folder that SEISFM_DATA names; one that is not there is left out, and said. A model is given
windows in the unit that it was trained with, where the response is known.
"""

import argparse
import dataclasses
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from convert_real_sets import california, chile, ground_motion
from obspy import UTCDateTime
from obspy.geodetics import gps2dist_azimuth
from seisfm.configs.loader import build_config
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.instruments.harmonization import HarmonizationConfig
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record
from seisfm.data.splitting.splits import split_by_event
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.eval.baselines import StaLtaPicker
from seisfm.eval.model_picker import ModelPicker, run_picker
from seisfm.eval.pick_metrics import count_picks, match_picks, precision_recall_f1
from seisfm.eval.picking_protocol import PickingProtocolConfig
from seisfm.eval.references.ar_picker import ArPicker
from seisfm.eval.references.local_magnitude import (
    LocalMagnitude,
    LocalMagnitudeConfig,
    single_station_distance,
)
from seisfm.eval.references.phase_times import PickedTimes
from seisfm.eval.references.polarization import PolarizationBackAzimuth
from seisfm.eval.references.sp_distance import SpDistance
from seisfm.eval.regression_metrics import regression_scores
from seisfm.eval.source_predictors import (
    ModelPredictor,
    SourceDummy,
    SourcePredictor,
    trained_harmonization,
)
from seisfm.eval.source_protocol import SourceScoreConfig, predict_windows, score_sources
from seisfm.eval.source_references import fitted_references, named
from seisfm.eval.source_tables import markdown_table
from seisfm.eval.source_windows import SourceWindows, SourceWindowsConfig, source_windows
from seisfm.eval.thresholds import choose_thresholds
from seisfm.finetune.fit import FitConfig, LabelledRecords, fit
from seisfm.finetune.methods import MethodConfig, apply_method
from seisfm.finetune.start import model_on_base
from seisfm.foundation.training import TrainingConfig
from seisfm.heads.task_model import SeismicTaskModel, load_model

REAL = Path(os.environ.get("SEISFM_DATA", "../shared/data"))
TYPES = (
    "sources.types={earthquake: 0.6, quarry_blast: 0.4, explosion: 0, collapse: 0, "
    "surface_event: 0, noise: 0}"
)
NUM_FOLDS = 5
SOURCE_HEADS = {"magnitude", "distance", "back_azimuth", "depth", "event_type", "polarity"}

Fold = Callable[[Sequence[Record], SourceWindows], SourcePredictor]
"""From the training records of a fold and their windows to what is scored on the others."""


@dataclass(frozen=True)
class GivenModel:
    """A model to be scored, and the unit that it was trained with."""

    path: str
    model: SeismicTaskModel
    harmonization: HarmonizationConfig

    @classmethod
    def open(cls, path: str) -> "GivenModel":
        return cls(path, load_model(path), trained_harmonization(path))

    @property
    def tells_sources(self) -> bool:
        return bool(SOURCE_HEADS & set(self.model.heads))

    def predictor(self) -> ModelPredictor:
        """Labels are of true north and east, so the horizontals are turned there as far as that is known."""
        oriented = dataclasses.replace(self.harmonization, orient=True)
        return ModelPredictor(self.model, self.path, oriented)

    def adapted(self, train: Sequence[Record], windows: WindowConfig, steps: int) -> ModelPredictor:
        """Its magnitude head taught on other events of a station; the encoder stays as it is."""
        head = {"magnitude": (self.model.config.heads or {})["magnitude"]}
        started = model_on_base(self.path, head, {}, seed=0)
        tunable = apply_method(started.model, MethodConfig(kind="head"))
        # Another seed than that of the folds: of one seed, a side would be a part of a fold.
        sides = split_by_event(train, {"train": 0.85, "validation": 0.15}, 1)
        training = TrainingConfig(
            max_steps=steps, batch_size=32, learning_rate=3e-3, warmup_steps=steps // 10,
            checkpoint_every=-(-steps // 4), log_every=steps,
        )  # fmt: skip
        config = FitConfig(
            windows=windows, augmentation=None, training=training, validation_windows=64, seed=0
        )
        records = LabelledRecords(train=sides["train"], validation=sides["validation"])
        with tempfile.TemporaryDirectory() as folder:
            fit(tunable, records, config, Path(folder), settings={})
        return ModelPredictor(tunable.model, f"{self.path}, head taught on the other folds")


def cut_of(window_s: float, earliest_s: float) -> SourceWindowsConfig:
    """P up to 20 s after a window's start, in short ones not beyond two fifths."""
    return SourceWindowsConfig(window_s=window_s, p_position_s=(earliest_s, min(20.0, 0.4 * window_s)))


def synthetic(models: Sequence[GivenModel], num_events: int, window_s: float) -> list[str]:
    config = build_config(SynthesisConfig, {}, [TYPES])
    train, test = (
        source_windows(synthesize_records(config, seed, num_events), cut_of(window_s, 6.0))
        for seed in (101, 202)
    )
    predictors = [*fitted_references(train), *told_sources(models)]
    rows = score_sources(predictors, test, SourceDummy.fit(train), SourceScoreConfig())
    events = len(set(test.event.tolist()))
    head = f"Scored: {len(test)} windows of {events} events (seed 202); fitted on {len(train)} (seed 101)."
    return ["## Synthetic records", "", head, "", *markdown_table(rows), ""]


def told_sources(models: Iterable[GivenModel]) -> list[ModelPredictor]:
    return [one.predictor() for one in models if one.tells_sources]


def with_predicted_p(record: Record, model: VelocityModel) -> Record:
    """For cutting alone: P where the layered Earth has it. The references pick for themselves."""
    about = record.metadata
    travel_s = model.travel_time_s(about["path_ep_distance_km"], about["source_depth_km"], "P")
    p_s = UTCDateTime(about["source_origin_time"]).timestamp + float(travel_s) - record.start_time
    return dataclasses.replace(
        record, arrivals=(Arrival(phase="P", time_s=p_s, evaluation="automatic", uncertainty_s=2.0),)
    )


def network_magnitudes(windows: SourceWindows, predictors: Sequence[SourcePredictor]) -> list[str]:
    """The median over an event's stations, beside the catalog's."""
    answers = [predict_windows(predictor, windows)["magnitude"] for predictor in predictors]
    truth = windows.truth("magnitude")
    rows = [
        "| event | catalog | " + " | ".join(f"{one.name} (stations)" for one in predictors) + " |",
        "| --- | --- |" + " --- |" * len(predictors),
    ]
    for event in sorted(set(windows.event.tolist())):
        cells = [one[(windows.event == event) & np.isfinite(one)] for one in answers]
        told = [f"{np.median(cell):.2f} ({len(cell)})" if len(cell) else "none" for cell in cells]
        rows.append(f"| {event} | {truth[windows.event == event][0]:.2f} | " + " | ".join(told) + " |")
    return rows


def strong_motion(models: Sequence[GivenModel], window_s: float) -> list[str]:
    records = [*ground_motion(REAL / "events_groundmotion")[0], *california(REAL / "california_mw")[0]]
    velocity = VelocityModel.default()
    windows = source_windows(
        [with_predicted_p(record, velocity) for record in records], cut_of(window_s, 8.0)
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
        *told_sources(models),
    ]
    rows = score_sources(predictors, windows, SourceDummy.fit(windows), SourceScoreConfig(jitters_s=(0.0,)))
    why = [f"* {row.predictor}: {dict(row.reasons)}" for row in rows if row.reasons]
    head = f"{len(windows)} windows of {len(set(windows.event.tolist()))} events, M 3.2 to 7.1."
    of_events = [magnitude, *told_sources(one for one in models if "magnitude" in one.model.heads)]
    return [
        "## events_groundmotion and california_mw", "", head, "", *markdown_table(rows), "",
        "Without an answer:", "", *why, "", *network_magnitudes(windows, of_events), "",
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


def one_station(models: Sequence[GivenModel], steps: int) -> list[str]:
    """Magnitudes in folds by event; of a model as it is, also what else it tells of the station's events."""
    records = [with_path(record) for record in chile(REAL / "chile_seisbench")[0]]
    cut = SourceWindowsConfig(window_s=60.0, sampling_rate_hz=20.0, p_position_s=(0.0, 0.0))
    folds = split_by_event(records, {str(i): 1.0 / NUM_FOLDS for i in range(NUM_FOLDS)}, 0)
    lines = [magnitude_line(name, make, folds, cut) for name, make in magnitudes(models, cut, steps).items()]
    text = [
        "## chile_seisbench", "", f"One station, counts at 20 Hz, {NUM_FOLDS} folds by event.", "",
        "| reference | answered | MAE | R² | dummy's MAE there |", "| --- | --- | --- | --- | --- |",
        *lines, "",
    ]  # fmt: skip
    if predictors := told_sources(models):
        windows = source_windows(records, cut)
        rows = score_sources(predictors, windows, SourceDummy.fit(windows), SourceScoreConfig())
        text += ["Models as they are; the dummy is of the same windows, in its favour.", ""]
        text += [*markdown_table(rows), ""]
    return text


def magnitudes(models: Sequence[GivenModel], cut: SourceWindowsConfig, steps: int) -> dict[str, Fold]:
    """By name, what tells magnitudes at one station."""
    # At 20 Hz there are too few samples for autoregressive models.
    picked = PickedTimes(StaLtaPicker(), {"P": 0.6, "S": 0.5})

    def relative(slopes: bool) -> Fold:
        def make(train: Sequence[Record], windows: SourceWindows) -> SourcePredictor:
            config = LocalMagnitudeConfig(from_counts=True)
            method = LocalMagnitude(config, times=picked).fit(windows.batches, slopes=slopes)
            method.harmonization = SpDistance.harmonization
            return method

        return make

    said: dict[str, Fold] = {
        "relative ML, station constant; STA/LTA + AIC picks": relative(False),
        "relative ML, fitted slopes and station constant; STA/LTA + AIC picks": relative(True),
    }
    rows = WindowConfig(
        window_s=cut.window_s, sampling_rate_hz=cut.sampling_rate_hz, components=cut.components
    )
    for one in models:
        if "magnitude" in one.model.heads:
            said[f"{one.path}, as it is"] = lambda train, windows, one=one: one.predictor()
            said[f"{one.path}, head taught on the other folds"] = lambda train, windows, one=one: one.adapted(
                train, rows, steps
            )
    return said


def magnitude_line(
    name: str, make: Fold, folds: dict[str, Sequence[Record]], cut: SourceWindowsConfig
) -> str:
    """A method's magnitudes of each fold, fitted on the others; the dummy says the others' mean."""
    parts: list[tuple[np.ndarray, ...]] = []
    for i, held_out in folds.items():
        train = [record for other, part in folds.items() if other != i for record in part]
        fit_on, test = source_windows(train, cut), source_windows(held_out, cut)
        told = predict_windows(make(train, fit_on), test)["magnitude"]
        mean = np.where(np.isfinite(told), fit_on.truth("magnitude").mean(), np.nan)
        parts.append((told, mean, test.truth("magnitude"), test.event))
    told, mean, truth, event = (np.concatenate(column) for column in zip(*parts, strict=True))
    score, dummy = (regression_scores(one, truth, event, seed=42, tolerance=0.3) for one in (told, mean))
    mae = score["mae"]
    return (
        f"| {name} | {mae.n} of {len(truth)} | {mae.value:.2f} ({mae.low:.2f} to {mae.high:.2f}) | "
        f"{score['r2'].value:.2f} | {dummy['mae'].value:.2f} |"
    )


def picks(models: Sequence[GivenModel]) -> list[str]:
    sides = split_by_event(read_phasenet_npz(REAL / "ncedc_phasenet")[0], {"dev": 0.5, "test": 0.5}, 0)
    protocol = PickingProtocolConfig()
    dev, windows = protocol.cut(sides["dev"]), protocol.cut(sides["test"])
    rows = [
        "| picker | phase | threshold | P / R / F1 at 0.1 s | at 0.5 s | picks compared |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    pickers = [StaLtaPicker(), ArPicker()]
    for one in models:
        if "picking" in one.model.heads:
            picker = ModelPicker(one.model, protocol.thresholds, protocol.min_separation_s)
            picker.name = one.path
            pickers.append(picker)
    for picker in pickers:
        learned = dev if isinstance(picker, ModelPicker) else None
        thresholds, source = choose_thresholds(picker, learned, protocol.selection_tolerance_s)
        found = run_picker(picker, windows)[0].above(thresholds)
        for phase in ("P", "S"):
            truth, own = windows.truth(phase), found.of_phase(phase)
            matching = match_picks(truth, own.window, own.time_s, 0.5)
            cells = []
            for tolerance_s in (0.1, 0.5):
                hits = match_picks(truth, own.window, own.time_s, tolerance_s)
                counts = count_picks(truth, own.window, hits, tolerance_s)
                scores = precision_recall_f1(counts.table.sum(axis=0))
                cells.append(" / ".join("–" if math.isnan(x) else f"{x:.2f}" for x in scores))
            rows.append(
                f"| {picker.name} | {phase} | {thresholds[phase]:.2f} ({source[phase]}) | {cells[0]} | "
                f"{cells[1]} | {int((matching.pick >= 0).sum())} |"
            )
    head = f"{len(windows)} windows; thresholds of models have the best F1 on the other half."
    return ["## ncedc_phasenet, test half", "", head, "", *rows, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the table, in Markdown")
    parser.add_argument("--model", nargs="*", default=[], help="folders of models to score beside them")
    parser.add_argument("--events", type=int, default=200, help="synthetic events to fit on, and to score")
    parser.add_argument("--window-s", type=float, help="of synthetic (60 s) and motion (90 s)")
    parser.add_argument("--steps", type=int, default=60, help="of teaching a magnitude head, a fold")
    parser.add_argument("--only", nargs="*", help="some of: synthetic, motion, chile, picks")
    options = parser.parse_args()
    models = [GivenModel.open(path) for path in options.model]
    parts = {
        "synthetic": (None, lambda: synthetic(models, options.events, options.window_s or 60.0)),
        "motion": ("events_groundmotion", lambda: strong_motion(models, options.window_s or 90.0)),
        "chile": ("chile_seisbench", lambda: one_station(models, options.steps)),
        "picks": ("ncedc_phasenet", lambda: picks(models)),
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
