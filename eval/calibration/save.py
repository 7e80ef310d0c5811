"""A calibrated model in its folder, with the page that tells what the calibration did."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from ...configs.loader import as_plain, save_config
from ...data.records import Skipped
from ...foundation.run_folder import replacing_folder
from ...heads.model_folder import ModelFolder
from ...heads.task_model import SeismicTaskModel, load_model, pick_calibration
from ..out_of_distribution import weights_of
from ..report import Report, to_json
from .config import CalibrationConfig
from .run import Calibrated, calibrate_model, calibration_windows, for_fit
from .strangeness import ALARM, fit_strangeness
from .summary import example_thresholds, measures, reliability_figure, strangeness_figure, summary_table


def run_calibration(config: CalibrationConfig) -> tuple[dict[str, Any], list[Skipped]]:
    """Calibrate a model and save it, with what became of it and what was left out.

    Writes into `output_dir`: all files of the model with the calibration in `config.json`; the weights stay
    the same bit by bit. Beside them `ood.safetensors`, `calibration.yaml` (the run), `calibration.html` with
    its numbers in `calibration.json`, and `calibration_skipped.csv`: all that was left out, and why.

    Raises ValueError where an adapter is to go to another folder than its own, which its base's path forbids.
    """
    folder = ModelFolder.find(config.model, config.revision)
    target = Path(config.output_dir)
    in_place = target.resolve() == folder.path.resolve()
    if folder.is_adapter and not in_place:
        raise ValueError(
            f"{folder.source} is an adapter, which knows its base by the way from its folder: calibrate it "
            f"in place, with output_dir {folder.path}"
        )
    model = load_model(config.model, config.revision)
    windows, skipped = calibration_windows(config)
    result = calibrate_model(model, windows, config)
    ordinary, table = None, None
    if config.strangeness:
        ordinary, table = fit_strangeness(model, windows, for_fit(config), config.seed)
    with replacing_folder(target) as unfinished:
        if not in_place:
            _copy_files(folder.path, unfinished)
        _write_settings(folder.path / "config.json", model, unfinished / "config.json")
        if ordinary is not None:
            ordinary.save(unfinished, weights_of(folder))
        save_config(config, unfinished / "calibration.yaml")
        skipped = [*skipped, *result.skipped]
        listed = pd.DataFrame([asdict(one) for one in skipped], columns=["item", "reason"])
        listed.to_csv(unfinished / "calibration_skipped.csv", index=False)
        numbers = _write_page(config, model, result, table, unfinished)
    return numbers, skipped


def _copy_files(source: Path, target: Path) -> None:
    """A model's own files, without checkpoints and logs, which lie in folders."""
    for file in sorted(path for path in source.iterdir() if path.is_file()):
        shutil.copyfile(file, target / file.name)


def _write_settings(source: Path, model: SeismicTaskModel, target: Path) -> None:
    """The model's `config.json` with another calibration, and nothing else changed."""
    settings = json.loads(source.read_text(encoding="utf-8"))
    settings["calibration"] = as_plain(model.config.calibration)
    target.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_page(
    config: CalibrationConfig,
    model: SeismicTaskModel,
    result: Calibrated,
    strange: pd.DataFrame | None,
    folder: Path,
) -> dict[str, Any]:
    summary = summary_table(result.before, result.after)
    report = Report(f"How sure {Path(config.model).name} is, and how right")
    report.text(
        f"Fitted on {config.fit_share:.0%} of the events; everything here is measured on the others. "
        "Detection and event type are judged with all classes weighing the same, as they were taught."
    )
    report.section("Before and after")
    report.table(summary, "What was claimed against what came true, mean distance; 0 is honest")
    report.figure(
        reliability_figure({"before": result.before, "after": result.after}),
        "What was said against what came true; on the diagonal claims are honest, below it bold",
        "A panel for each head with one curve before and one after calibration beside the diagonal",
    )
    numbers: dict[str, Any] = {
        "settings": result.settings,
        "before": {name: measures(judged) for name, judged in result.before.items()},
        "after": {name: measures(judged) for name, judged in result.after.items()},
        "config": asdict(config),
    }
    if "picking" in result.settings:
        report.section("Thresholds")
        report.text("Thresholds of picks that were chosen before the calibration must be carried over.")
        report.table(example_thresholds(pick_calibration(model)), "Probabilities before and now")
    if strange is not None:
        report.section("Strange windows")
        report.table(strange, f"Called strange: at most {ALARM:.0%} of ordinary windows are as strange")
        report.figure(
            strangeness_figure(strange),
            "How well windows are told from ordinary ones by the score of strangeness",
            "A bar for each kind of window, as long as the area under its curve",
        )
        numbers["strangeness"] = strange.to_dict("records")
    report.numbers(**numbers)
    report.write(folder / "calibration.html")
    return json.loads(to_json(numbers | {"summary": summary.to_dict("records")}))
