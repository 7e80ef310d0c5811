"""A whole run with mechanisms: in all its files, the same when taken up again, refused where it cannot be."""

import dataclasses
import json

import obspy
import pandas as pd
import pytest
from seisfm.catalog.associate import AssociationConfig
from seisfm.catalog.mechanisms import MechanismsConfig
from seisfm.catalog.pick_formats import write_picks
from seisfm.catalog.picker import Picker, PickerConfig
from seisfm.catalog.run import CatalogConfig, run_catalog
from seisfm.configs.loader import CONFIG_FOLDER, load_config
from torch import nn


@pytest.fixture
def signed(onset_model) -> Picker:
    """A picker whose model has a polarity head; all of its picks are there already."""

    class Signed(type(onset_model)):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleDict({"polarity": nn.Identity()})

    return Picker(Signed(), PickerConfig(batch_size=4, refine_shifts=2))


@pytest.fixture
def picked(network, motion, tmp_path) -> CatalogConfig:
    """An archive of some seconds, all of whose station-days have been picked."""
    columns = {"latitude_deg": "latitude", "longitude_deg": "longitude", "elevation_m": "elevation"}
    network.stations.drop(columns="id").rename(columns=columns).to_csv(tmp_path / "stations.csv", index=False)
    network.model.to_csv(tmp_path / "velocity.csv")
    (tmp_path / "archive").mkdir()
    for name, code in zip(network.stations["id"], network.stations["station"], strict=True):
        stream = motion(duration_s=5.0, arrivals=(), station=code, codes=("HHZ",))
        stream.write(str(tmp_path / "archive" / f"{code}.mseed"), format="MSEED")
        mine = network.picks.select(network.picks.frame["station_id"] == name)
        write_picks(mine, tmp_path / "out" / "picks" / name / "2018-12-30.parquet")
    return CatalogConfig(
        archive=str(tmp_path / "archive"),
        stations=str(tmp_path / "stations.csv"),
        model="unused",
        output_dir=str(tmp_path / "out"),
        velocity_model=str(tmp_path / "velocity.csv"),
        association=AssociationConfig(n_picks=20, n_p_picks=10, n_s_picks=10, min_node_size_km=8.0),
        mechanisms=MechanismsConfig(trials=1),
        max_record_sections=0,
        show_progress=False,
    )


def test_a_run_writes_mechanisms_once_and_again_the_same(picked, signed):
    first = run_catalog(picked, signed)
    folder = first.output_dir
    written = {
        name: (folder / name).read_text()
        for name in ("catalog.csv", "arrivals.csv", "mechanisms.csv", "skipped.csv")
    }
    second = run_catalog(picked, signed)
    assert written == {name: (folder / name).read_text() for name in written}
    pd.testing.assert_frame_equal(second.catalog.events, first.catalog.events)
    assert second.catalog.skipped == first.catalog.skipped
    events = pd.read_csv(folder / "catalog.csv")
    assert len(events) == 3 and events["strike_deg"].notna().sum() == 1
    assert events["num_polarities"].tolist() == [30, 5, 0]
    assert written["skipped.csv"].count("mechanism of ") == 2
    read = obspy.read_events(str(folder / "catalog.xml"))
    assert [len(event.focal_mechanisms) for event in read] == [1, 0, 0]
    assert json.loads((folder / "summary.json").read_text())["num_mechanisms"] == 1
    assert "Focal mechanisms" in (folder / "report.html").read_text()
    assert load_config(CatalogConfig, folder / "catalog.yaml") == picked


def test_models_that_tell_no_first_motions_are_refused_before_anything_is_written(picked, picker, tmp_path):
    elsewhere = dataclasses.replace(picked, output_dir=str(tmp_path / "other"))
    with pytest.raises(ValueError, match="with a polarity head, and onset has none"):
        run_catalog(elsewhere, picker)
    assert not (tmp_path / "other").exists()


def test_mechanisms_are_off_unless_asked_for():
    for path in CONFIG_FOLDER.glob("catalog/*.yaml"):
        assert (load_config(CatalogConfig, path).mechanisms is None) == (path.stem != "mechanisms")
    asked = load_config(CatalogConfig, "catalog/local.yaml", ["mechanisms.method=grid_search"])
    assert asked.mechanisms == MechanismsConfig()
