"""The models that come with seisfm: complete, small, honest about themselves, and of use at once."""

import json

import pytest
import torch
from safetensors.torch import load_file
from seisfm import Picker
from seisfm.data.continuous.examples import uh_archive
from seisfm.data.mechanism.double_couple import frame_angles_deg, rotations_of
from seisfm.data.mechanism.synthetic import ObservationConfig, draw_observations
from seisfm.heads.mechanism import MechanismHead
from seisfm.heads.model_folder import BUNDLED_FOLDER, ModelFolder, bundled_models
from seisfm.heads.task_model import load_model

LARGEST_BYTES = 16e6
RELEASES_FOLDER = BUNDLED_FOLDER.parent / "releases"


load_mechanism = MechanismHead.from_pretrained


def test_what_comes_along():
    assert bundled_models() == ["seisfm-mechanism", "seisfm-network", "seisfm-tiny"]


def test_a_bundled_model_is_small():
    for name in bundled_models():
        assert sum(path.stat().st_size for path in (BUNDLED_FOLDER / name).iterdir()) <= LARGEST_BYTES


@pytest.mark.parametrize(
    "folder", sorted([*BUNDLED_FOLDER.iterdir(), *RELEASES_FOLDER.iterdir()]), ids=lambda folder: folder.name
)
def test_a_model_is_complete(folder):
    present = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "training.yaml", "metrics.json", "README.md"} <= present
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert f"# {folder.name}" in card


def test_the_small_model_picks_from_its_folder():
    picker = Picker.from_pretrained(str(RELEASES_FOLDER / "seisfm-small"), refine=False)
    picks = picker.classify(uh_archive()[:3]).picks.frame
    assert (picks.phase == "P").any()


@pytest.mark.parametrize(
    ("name", "load"),
    [("seisfm-tiny", load_model), ("seisfm-network", load_model), ("seisfm-mechanism", load_mechanism)],
)
def test_a_bundled_model_opens_by_its_name_with_the_bits_of_its_file(name, load):
    model = load(name)
    saved = load_file(BUNDLED_FOLDER / name / "model.safetensors")
    assert model.state_dict().keys() == saved.keys()
    assert all(torch.equal(tensor, saved[key]) for key, tensor in model.state_dict().items())
    with pytest.raises(ValueError, match="comes with seisfm: leave it out"):
        ModelFolder.find(name, revision="main")


def test_the_network_model_is_the_tiny_one_with_ears():
    tiny, network = load_model("seisfm-tiny"), load_model("seisfm-network")
    ears = {name for name in network.state_dict() if name.startswith("heads.picking.exchange.")}
    assert network.state_dict().keys() - ears == tiny.state_dict().keys()
    assert all(torch.equal(tensor, network.state_dict()[key]) for key, tensor in tiny.state_dict().items())
    assert network.config.calibration == tiny.config.calibration


def test_a_folder_of_the_user_goes_before_a_bundled_model(tmp_path, monkeypatch):
    (tmp_path / "seisfm-tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"seisfm-tiny has no config\.json"):
        load_model("seisfm-tiny")


def test_the_tiny_model_picks_the_earthquakes_that_obspy_brings():
    picks = Picker.from_pretrained("seisfm-tiny", refine=False).classify(uh_archive()).picks.frame
    stations = picks[picks.phase == "P"].groupby("station_id").size()
    # Two induced earthquakes on four stations, of which some are noisy.
    assert (stations >= 2).sum() >= 3


def test_the_mechanism_network_finds_what_clean_observations_tell():
    clean = ObservationConfig(stations=(40, 40), flipped=0.05, direction_error_deg=3.0, gap_deg=60.0)
    observations, frames = draw_observations(40, clean, torch.Generator().manual_seed(0))
    answers = load_mechanism("seisfm-mechanism").predict(observations)
    kagan_deg = frame_angles_deg(rotations_of(answers["quaternion"]), frames)
    assert kagan_deg.median() < 12.0
    assert 0.5 < (kagan_deg <= answers["radius_deg"][:, 0]).float().mean() <= 1.0


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
