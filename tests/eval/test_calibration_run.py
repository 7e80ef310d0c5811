"""`seisfm calibrate`, from a model's folder to a calibrated one with its report."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from seisfm.cli import app
from seisfm.cli.outcome import skipped_summary
from seisfm.configs.loader import load_config
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Skipped
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.eval.calibration.config import CalibrationConfig
from seisfm.eval.calibration.run import (
    calibrate_model,
    calibration_windows,
    for_fit,
    held_out_windows,
)
from seisfm.eval.calibration.save import run_calibration
from seisfm.eval.out_of_distribution import OutOfDistribution
from seisfm.eval.scored_windows import ScoredWindows, scored_windows
from seisfm.heads.calibration import PickCalibration
from seisfm.heads.task_model import load_model

HEADS = {"picking": {}, "detection": {}, "event_type": {}, "back_azimuth": {}, "magnitude": {"spread": 0.2}}
"""The magnitudes are too sure of themselves."""
SETTINGS = (
    "data=[{kind: synthetic, num_events: 24, seed: 5}]",
    "windows={window_s: 12.0}",
    "min_items=10",
    "batch_size=16",
)


@pytest.fixture(scope="module")
def folder(new_model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    new_model(**HEADS).save_pretrained(folder)
    (folder / "README.md").write_text("a card")
    return folder


@pytest.fixture(scope="module")
def windows(folder) -> ScoredWindows:
    return calibration_windows(settings(folder, folder))[0]


def settings(model: Path, out: Path, *changes: str) -> CalibrationConfig:
    given = (*SETTINGS, f"model={model}", f"output_dir={out}", *changes)
    return load_config(CalibrationConfig, "eval/calibration.yaml", given)


@pytest.mark.slow
def test_a_calibrated_model_has_the_same_weights_and_other_claims(folder, tmp_path, batch_of, capsys) -> None:
    out = tmp_path / "calibrated"
    arguments = ["calibrate", "--model", str(folder), "--out", str(out), "--json", *SETTINGS]
    with pytest.raises(SystemExit) as end:
        app(arguments, prog_name="seisfm")
    told = json.loads(capsys.readouterr().out)
    assert end.value.code in (0, None)
    assert (out / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert (out / "README.md").read_text() == "a card"
    assert {"picking", "magnitude"} <= told["settings"].keys()
    listed = (out / "calibration_skipped.csv").read_text().splitlines()
    assert listed[0] == "item,reason" and len(listed) == len(told["skipped"]) + 1
    plain, calibrated, batch = load_model(folder), load_model(out), batch_of()
    factor = told["settings"]["magnitude"]["std_factor"]
    assert factor > 2.0
    with torch.inference_mode():
        before, after = (model(batch)["magnitude"] for model in (plain, calibrated))
    torch.testing.assert_close(after["magnitude_std"], factor * before["magnitude_std"])
    assert OutOfDistribution.load(out).ordinary.min() > 0
    numbers = json.loads((out / "calibration.json").read_text())["numbers"]
    assert numbers["after"]["magnitude"]["nll"] is not None
    assert "<svg" not in (out / "calibration.html").read_text()
    assert {row["windows"] for row in told["strangeness"]} >= {"no change", "spike", "with an event"}


def test_a_model_is_calibrated_anew_in_its_own_folder(new_model, windows, tmp_path) -> None:
    model = new_model(magnitude={"spread": 0.2})
    model.config.calibrate({"magnitude": {"std_factor": 50.0}})
    model.save_pretrained(tmp_path)
    config = settings(tmp_path, tmp_path, "strangeness=false")
    told, _ = run_calibration(config)
    calibrated = load_model(tmp_path)
    assert told["settings"] == calibrated.config.calibration
    assert calibrate_model(calibrated, windows, config).settings == told["settings"]
    assert 2.0 < told["settings"]["magnitude"]["std_factor"] < 21.0
    assert not (tmp_path / "ood.safetensors").exists()


def test_an_event_is_on_one_side_whatever_its_company(folder, windows, tmp_path) -> None:
    fits = for_fit(settings(folder, tmp_path))
    sides = fits(windows.event)
    assert 0.25 < sides.mean() < 0.75
    assert (fits(windows.event[::-1]) == sides[::-1]).all()


def test_a_head_without_labels_stays_as_it_is_and_that_is_told(folder, windows, tmp_path) -> None:
    unlabelled = [
        batch.replace(labels={**batch.labels, "magnitude": torch.full((len(batch),), torch.nan)})
        for batch in windows.batches
    ]
    result = calibrate_model(
        load_model(folder), replace(windows, batches=tuple(unlabelled)), settings(folder, tmp_path)
    )
    assert "magnitude" not in result.settings
    (told,) = [skipped for skipped in result.skipped if skipped.item == "calibration of magnitude"]
    assert "needs 10 answers with a label to fit to, found 0" in told.reason


@pytest.mark.slow
def test_recommended_thresholds_go_over_to_the_new_scale(folder, windows, tmp_path) -> None:
    model = load_model(folder)
    old = {"temperature": 2.0, "p_odds": 0.5, "p_threshold": 0.4}
    model.config.calibrate({"picking": old})
    calibrate_model(model, windows, settings(folder, tmp_path))
    new = model.config.calibration_of("picking")
    raw = PickCalibration(**old).uncalibrated("P", 0.4)
    assert new.uncalibrated("P", new.p_threshold) == pytest.approx(raw)
    assert new.s_threshold is None


def test_events_on_one_side_alone_are_an_error(folder, windows, tmp_path) -> None:
    """As where the records are a side of a split with the same seed."""
    config = settings(folder, tmp_path)
    side = held_out_windows(windows, for_fit(config)(windows.event))
    with pytest.raises(ValueError, match="events fall on one side, to fit to or to judge by: give"):
        calibrate_model(load_model(folder), side, config)


def test_too_little_to_fit_to_is_an_error(folder, windows, tmp_path) -> None:
    with pytest.raises(ValueError, match="no head can be calibrated"):
        calibrate_model(load_model(folder), windows, settings(folder, tmp_path, "min_items=100000"))


def test_windows_must_be_told(folder, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"has no training\.yaml that tells how its windows were cut"):
        calibration_windows(settings(folder, tmp_path, "windows=null"))


def test_an_adapter_is_calibrated_in_place_alone(folder, tmp_path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="is an adapter, which knows its base"):
        run_calibration(settings(adapter, tmp_path / "out"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("fit_share=1.0", "fit_share must lie between 0 and 1"),
        ("max_records=0", "max_records must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(folder, tmp_path, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        settings(folder, tmp_path, change)


def test_what_many_share_is_told_in_one_line(tmp_path) -> None:
    many = [Skipped(f"record {i}", f"{i / 10} s before the first arrival, 15 s needed") for i in range(40)]
    few = [Skipped("calibration of depth", "as it is"), Skipped("data", "1 in 4 taken")]
    lines = skipped_summary([few[0], *many, few[1]], tmp_path / "all.csv")
    assert lines == [
        "skipped calibration of depth: as it is",
        "skipped record 0: 0.0 s before the first arrival, 15 s needed … and 39 more like it: "
        f"{tmp_path / 'all.csv'}",
        "skipped data: 1 in 4 taken",
    ]


def test_records_that_nobody_picked_tell_of_magnitudes_where_a_window_shows_them_whole() -> None:
    made = synthesize_records(SynthesisConfig(), 3, 2)
    unpicked = [replace(one, arrivals=(), labelled_phases=frozenset()) for one in made]
    whole = WindowConfig(window_s=max(one.duration_s for one in made))
    windows = scored_windows(unpicked, (), whole, seed=0, noise_windows=0, unpicked=True)
    assert len(windows) == len(unpicked) and not windows.truth("P").labelled.any()
    assert not windows.is_noise.any()
    assert all(batch.labels["magnitude"].isfinite().any() for batch in windows.batches)
    with pytest.raises(ValueError, match="neither P nor S is labelled, and a window shows 12 s of its"):
        scored_windows(unpicked, (), WindowConfig(window_s=12.0), seed=0, noise_windows=0, unpicked=True)
    with pytest.raises(ValueError, match="neither P nor S is labelled"):
        scored_windows(unpicked, (), whole, seed=0, noise_windows=0)
