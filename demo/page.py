"""The demonstration's report: one section a stage, with a figure wherever there is a shape to see."""

from __future__ import annotations

import numpy as np
import obspy
import pandas as pd

from ..catalog.report import event_table, record_section
from ..catalog.run import CatalogRun
from ..data.continuous.archive import Archive
from ..data.continuous.examples import uh_stations
from ..data.earth.velocity import VelocityModel
from ..eval.figures import window_figure
from ..eval.picking_scores import PickingScores
from ..eval.report import Report
from ..eval.score_figures import comparison_figure, learning_curve_figure, read_training_log, residual_figure
from ..finetune.run import FinetuneResult
from ..pretrain.run import PretrainResult
from .stages import Corpus, ExamplePicks, RealRecords

SCORE_COLUMNS = ["picker", "phase", "tolerance_s", "precision", "recall", "f1", "f1_low", "f1_high"]
DETECTION_COLUMNS = ["detector", "precision", "recall", "f1", "auc", "false_alarms_per_hour"]


def introduction(report: Report) -> None:
    """What the reader is looking at."""
    report.text(
        "Everything below was computed on this machine by one command, without a network: synthetic "
        "earthquakes, a small encoder pretrained on them without labels, an adapter that teaches it to pick "
        "P and S, its scores, and what it finds in real recordings. The models are small and trained for a "
        "minute or two: they show the path, not the limit."
    )


def corpus(report: Report, data: Corpus) -> None:
    """How many synthetic records there are, and four of them."""
    report.section("Synthetic earthquakes")
    parts = {part: data.records(part) for part in data.folders}
    report.table(
        pd.DataFrame(
            [
                {
                    "part": part,
                    "records": len(records),
                    "events": len({record.event_id for record in records}),
                    "hours": round(sum(record.duration_s for record in records) / 3600, 1),
                }
                for part, records in parts.items()
            ]
        ),
        "No event is in two parts.",
    )
    labelled = [record for record in parts["test"] if record.arrivals]
    for record in labelled[:: max(1, len(labelled) // 3)][:3]:
        labels = {phase: [record.arrival_s(phase)] for phase in "PS"}
        report.figure(
            window_figure(
                record.waveform,
                record.component_names,
                record.sampling_rate_hz,
                labels_s={phase: times for phase, times in labels.items() if np.isfinite(times[0])},
            ),
            f"M {record.metadata['source_magnitude']:.1f} at "
            f"{record.metadata['path_ep_distance_km']:.0f} km. Dashed: the true arrivals.",
            "A synthetic three-component seismogram with its P and S arrivals",
        )


def pretraining(report: Report, result: PretrainResult) -> None:
    """The loss on hidden parts, beside that of guessing silence."""
    report.section("Pretraining without labels")
    metrics = result.metrics
    report.table(
        pd.DataFrame(
            [
                {"guess": "silence", "loss": metrics["held_out_without_knowledge"]["trivial_loss"]},
                {"guess": "untrained model", **metrics["held_out_at_start"]},
                {"guess": "pretrained model", **metrics["held_out"]},
            ]
        ).round(3),
        f"Loss on the hidden parts of {metrics['num_held_out_windows']} held-out windows, after "
        f"{metrics['windows_seen']} windows at {metrics['windows_per_s']:.0f} windows/s.",
    )
    _learning_curve(report, result.output_dir / "log.jsonl", "Loss on the hidden parts while pretraining.")


def finetuning(report: Report, result: FinetuneResult) -> None:
    """How many weights learn, and their learning curve."""
    report.section("Fine-tuning with LoRA")
    metrics = result.metrics
    report.text(
        f"{metrics['num_trainable']:,} of {metrics['num_parameters']:,} weights were trained on "
        f"{metrics['windows_seen']:,} windows at {metrics['windows_per_s']:.0f} windows/s. The best weights "
        f"by {metrics['num_validation_windows']} validation windows are kept."
    )
    _learning_curve(report, result.output_dir / "log.jsonl", "Loss while fine-tuning.")


def _learning_curve(report: Report, log_file: object, caption: str) -> None:
    log = read_training_log(log_file)  # type: ignore[arg-type]
    report.figure(learning_curve_figure(log), caption, "Training loss against step")


def scores(report: Report, found: dict[str, PickingScores], data: Corpus) -> None:
    """Before, after, STA/LTA and the positional dummy on the same windows."""
    report.section("Scores on synthetic events that were held out")
    _score_tables(report, found)


def _score_tables(report: Report, found: dict[str, PickingScores]) -> None:
    after = found["after"]
    table = pd.concat(
        [
            found["before"].table.query("picker == 'model'").assign(picker="before fine-tuning"),
            after.table.replace({"picker": {"model": "after fine-tuning"}}),
        ]
    )
    report.table(
        table[SCORE_COLUMNS].round(3),
        f"{after.num_windows} windows at random places, {after.num_noise_windows} of them without arrivals, "
        f"of {after.num_events} events. Thresholds come from validation events. Intervals: 95 % over events.",
    )
    widest = table[np.isclose(table.tolerance_s, table.tolerance_s.max())]
    report.figure(
        comparison_figure(widest, "picker", "f1", "phase", "F1 within 0.5 s"),
        "The positional dummy always answers with the mean position of the training arrivals.",
        "F1 of each picker for P and S",
    )
    arrivals = after.arrivals[after.arrivals.picker == "model"]
    residuals = {
        phase: arrivals[arrivals.phase == phase].residual_s.dropna().to_numpy() for phase in ("P", "S")
    }
    report.figure(
        residual_figure(residuals), "Picks minus labels, of found arrivals.", "Histogram of residuals"
    )
    report.table(after.false_picks.round(2), "False picks per station-hour in windows without arrivals.")
    if after.detection:
        detection = pd.DataFrame([{"detector": name, **found} for name, found in after.detection.items()])
        report.table(
            detection[DETECTION_COLUMNS].round(3),
            "Detections of whole events, P to coda, by overlap; false alarms in windows without arrivals.",
        )
    report.text(after.leakage.summary())


def publishing(report: Report, model_dir: object) -> None:
    """Where the model is and how to load it."""
    report.section("The published model")
    report.text(
        f"The adapter was merged into its base and published to {model_dir} with a model card. It was loaded "
        "again from there, and everything below is picked by that copy: "
        f"seisfm.Picker.from_pretrained({str(model_dir)!r})."
    )


def picks(report: Report, examples: list[ExamplePicks]) -> None:
    """Waveforms, probabilities and picks of real streams."""
    report.section("Real local earthquakes")
    for example in examples:
        report.text(example.title)
        for station in sorted({".".join(trace.id.split(".")[:3]) for trace in example.stream}):
            _station_figure(report, example, station)
        shown = example.result.picks.frame[["station_id", "phase", "time", "probability", "snr_db"]]
        report.table(shown.round({"probability": 2, "snr_db": 1}), "Picks of this stream.")
        if example.result.skipped:
            report.table(pd.DataFrame(example.result.skipped), "What was not looked at, and why.")


def _station_figure(report: Report, example: ExamplePicks, station: str) -> None:
    traces = obspy.Stream([t for t in example.stream if t.id.startswith(station + ".")])
    traces.sort(keys=["channel"])
    start, rate_hz = traces[0].stats.starttime, traces[0].stats.sampling_rate
    same = [t for t in traces if t.stats.sampling_rate == rate_hz]
    num_samples = min(len(trace.data) for trace in same)
    waveform = np.stack([trace.data[:num_samples] - np.mean(trace.data) for trace in same])
    curves = {
        trace.stats.channel.removeprefix("seisfm_"): np.ma.filled(trace.data.astype(float), np.nan)
        for trace in example.probability
        if trace.id.startswith(station + ".") and trace.stats.channel[-1] in "PS"
    }
    found = example.result.picks.frame
    found = found[found.station_id == station]
    seconds = {
        phase: [time.timestamp() - start.timestamp for time in found[found.phase == phase].time]
        for phase in ("P", "S")
    }
    figure = window_figure(
        waveform,
        [trace.stats.channel for trace in same],
        rate_hz,
        probability=curves,
        picks_s=seconds,
        title=station,
    )
    report.figure(figure, "Lines: picks.", f"Waveforms, probabilities and picks of {station}")


def catalog(report: Report, run: CatalogRun) -> None:
    """The events that the four stations locate, each with its record section."""
    report.section("From picks to earthquakes")
    events = run.catalog.events
    report.text(
        f"{len(run.picks)} picks at the four stations gave {len(events)} located events. The whole catalog, "
        f"with QuakeML, CSV and a report of its own, is in {run.output_dir}."
    )
    if len(events):
        report.table(event_table(run.catalog), "Located events.")
    archive = Archive.open(run.output_dir.parent / "archive")
    for event in events.to_dict("records"):
        arrivals = run.catalog.arrivals
        own = arrivals[arrivals.event_id == event["event_id"]]
        figure, num_stations = record_section(event, own, uh_stations(), archive, VelocityModel.default())
        if figure is not None:
            report.figure(
                figure,
                f"{num_stations} stations by distance. Bars: picks; dots: predicted.",
                "Record section",
            )


def region(report: Report, found: RealRecords | str) -> None:
    """The model on real labelled records, before and after it has learned from some of them."""
    report.section("Northern California, labelled by analysts")
    if isinstance(found, str):
        report.text(found)
        return
    parts = ", ".join(f"{number} for {part}" for part, number in found.num_records.items())
    report.text(f"Records of ncedc_phasenet: {parts}, split by event.")
    _score_tables(report, found.scores)


def timing(report: Report, table: pd.DataFrame) -> None:
    """How long each stage took."""
    report.section("Time")
    report.table(table, "Wall time of each stage.")
