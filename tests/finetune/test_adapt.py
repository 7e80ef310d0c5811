"""From a region's archive, stations and picks to an adapter and a comparison on held-out events."""

import json

import pandas as pd
import pytest
import torch
from seisfm.configs.loader import build_config, load_config
from seisfm.data.formats.seisbench_format import SeisBenchDataset
from seisfm.data.synthesis import SynthesisConfig
from seisfm.data.synthesis.archive import synthesize_archive
from seisfm.finetune.adapt import AdaptConfig, adapt, region_split
from seisfm.finetune.adapt_command import main
from seisfm.heads.model_folder import ModelError, ModelFolder
from seisfm.heads.task_model import load_model


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """An hour of three stations with a catalog."""
    return synthesize_archive(SynthesisConfig(), 0, 3600.0, 3, 10, tmp_path_factory.mktemp("region"))


@pytest.fixture(scope="module")
def settings(region, base):
    return {
        "archive": str(region.sds),
        "stations": str(region.inventory),
        "picks": str(region.catalog),
        "base": str(base),
        "files": {
            "window_before_s": 10.0,
            "window_after_s": 10.0,
            "noise_per_station": 3,
            "noise_duration_s": 30.0,
        },
        "num_training_events": 5,
        "windows": {"window_s": 12.0},
        "training": {"max_steps": 4, "batch_size": 4, "warmup_steps": 1, "checkpoint_every": 2},
        "validation_windows": 8,
        "protocol": {"window_s": 12.0, "num_resamples": 20, "batch_size": 16},
    }


def _config(settings, folder, **changes):
    return build_config(AdaptConfig, settings | {"output_dir": str(folder)} | changes)


@pytest.fixture(scope="module")
def done(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapted") / "run"
    return adapt(_config(settings, folder))


def test_the_adapter_opens_on_its_base(done, batch_of, base):
    adapted, original = load_model(done.output_dir), load_model(base)
    with torch.no_grad():
        answers = [model(batch_of())["picking"]["probability"] for model in (adapted, original)]
    assert not torch.equal(*answers)
    assert (done.output_dir / "adapter_model.safetensors").exists()


def test_base_adapted_and_baselines_stand_side_by_side(done):
    table = pd.read_csv(done.output_dir / "comparison.csv")
    assert list(dict.fromkeys(table.picker))[:2] == ["base", "adapted"]
    assert {"STA/LTA + AIC", "positional dummy"} < set(table.picker)
    assert set(table.phase) == {"P", "S"}
    metrics = json.loads((done.output_dir / "metrics.json").read_text())
    assert len(metrics["comparison"]) == len(table)
    assert (done.output_dir / "base_scores" / "scores.json").exists()


def test_held_out_events_are_held_out(done, settings, tmp_path):
    split, _ = region_split(_config(settings, tmp_path))
    learned = {record.event_id for record in [*split.train, *split.validation]}
    assert not learned & {record.event_id for record in split.test}
    assert done.metrics["num_events"] == split.num_events()
    assert done.metrics["leakage"].startswith("No leakage found")
    assert split.train_noise


def test_the_training_set_is_there_in_seisbench_format(done, settings, tmp_path):
    split, _ = region_split(_config(settings, tmp_path))
    written = SeisBenchDataset(done.output_dir / "training_set")
    assert len(written) == len(split.train) + len(split.validation) + len(split.train_noise)
    assert {r.event_id for r in split.test}.isdisjoint({r.event_id for r in written})


def test_running_it_again_changes_nothing(done, settings):
    before = ModelFolder.find(done.output_dir).weights("adapter_model.safetensors")
    again = adapt(_config(settings, done.output_dir))
    after = ModelFolder.find(done.output_dir).weights("adapter_model.safetensors")
    assert again.comparison.equals(done.comparison)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_other_settings_in_the_same_folder_are_refused(done, settings):
    with pytest.raises(ValueError, match=r"holds an adaptation with other settings \(num_training_events\)"):
        adapt(_config(settings, done.output_dir, num_training_events=4))
    with pytest.raises(FileExistsError, match="resume it, or choose another output_dir"):
        adapt(_config(settings, done.output_dir), resume=False)


def test_picks_from_a_table_do_without_events(region, settings, tmp_path):
    rows = [
        {"event_id": event.event_id, "station_id": station, "phase": a.phase, "time": start + a.time_s}
        for event in region.events
        for station, arrivals in event.arrivals.items()
        for a in arrivals
        if a.phase in ("P", "S")
        for start in [1577836800.0]
    ]
    table = pd.DataFrame(rows)
    table["time"] = pd.to_datetime(table["time"], unit="s", utc=True).dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    table.to_csv(tmp_path / "picks.csv", index=False)
    split, _ = region_split(_config(settings, tmp_path, picks=str(tmp_path / "picks.csv")))
    assert sum(split.num_events().values()) == len(region.events)
    assert "source_magnitude" not in split.train[0].metadata


def test_records_without_a_usable_component_are_told(settings, tmp_path):
    config = _config(settings, tmp_path, windows={"window_s": 12.0, "components": ["H"]})
    with pytest.raises(ValueError, match="0 events in 0 groups"):
        region_split(config)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"num_training_events": 1}, ValueError, "num_training_events must be at least 2"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction must lie between 0 and 1"),
        ({"num_training_events": 1000}, ValueError, "give more events, fewer training events"),
        ({"archive": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"base": "./nowhere"}, FileNotFoundError, "no model at ./nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(settings, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        adapt(_config(settings, tmp_path / "run", **changes))


def test_an_encoder_alone_cannot_be_compared(settings, encoder, tmp_path):
    with pytest.raises(ModelError, match="an encoder has no heads yet"):
        adapt(_config(settings, tmp_path / "run", base=str(encoder)))


def test_the_shipped_configuration_is_the_default_on_a_synthetic_region():
    config = load_config(AdaptConfig, "finetune/adapt.yaml")
    files = {name: getattr(config, name) for name in ("archive", "stations", "picks", "base", "output_dir")}
    assert config == AdaptConfig(**files)


def test_an_adaptation_is_run_from_one_yaml(done, settings, capsys, tmp_path):
    # The folder of the finished run: its own settings go on where it was, which is at the end.
    assert main([str(done.output_dir / "training.yaml")]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 4
    assert main(["finetune/adapt.yaml", f"base={tmp_path}"]) == 1
    assert "has no config.json" in capsys.readouterr().err
    assert main(["finetune/adapt.yaml", "bases=x"]) == 2
