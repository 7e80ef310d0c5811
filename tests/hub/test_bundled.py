"""The models that come with seisfm: complete, small, honest about themselves, and of use at once."""

import json

import pytest
import torch
from safetensors.torch import load_file
from seisfm import Picker
from seisfm.data.continuous.examples import uh_archive
from seisfm.heads.model_folder import BUNDLED_FOLDER, ModelFolder, bundled_models
from seisfm.heads.task_model import load_model

LARGEST_BYTES = 16e6


def test_the_tiny_model_comes_along():
    assert "seisfm-tiny" in bundled_models()


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_model_is_complete_and_small(name):
    folder = BUNDLED_FOLDER / name
    present = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "training.yaml", "metrics.json", "README.md"} <= present
    assert sum(path.stat().st_size for path in folder.iterdir()) <= LARGEST_BYTES
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert f"# {name}" in card


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_model_opens_by_its_name_with_the_bits_of_its_file(name):
    model = load_model(name)
    saved = load_file(BUNDLED_FOLDER / name / "model.safetensors")
    assert model.state_dict().keys() == saved.keys()
    assert all(torch.equal(tensor, saved[key]) for key, tensor in model.state_dict().items())
    with pytest.raises(ValueError, match="comes with seisfm: leave it out"):
        ModelFolder.find(name, revision="main")


def test_a_folder_of_the_user_goes_before_a_bundled_model(tmp_path, monkeypatch):
    (tmp_path / "seisfm-tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"seisfm-tiny has no config\.json"):
        load_model("seisfm-tiny")


def test_the_tiny_model_picks_the_earthquakes_that_obspy_brings():
    picks = Picker.from_pretrained("seisfm-tiny").classify(uh_archive()).picks.frame
    stations = picks[picks.phase == "P"].groupby("station_id").size()
    # Two induced earthquakes on four stations, of which some are noisy.
    assert (stations >= 2).sum() >= 3


def test_the_tiny_model_has_every_head():
    settings = json.loads((BUNDLED_FOLDER / "seisfm-tiny" / "config.json").read_text())
    assert set(settings["heads"]) >= {
        "picking",
        "detection",
        "polarity",
        "event_type",
        "magnitude",
        "distance",
        "back_azimuth",
        "depth",
    }
