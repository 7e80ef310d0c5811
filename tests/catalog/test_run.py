"""Archive to catalog in one run, on a made network and on a real one."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from seisfm.catalog.events import Catalog
from seisfm.catalog.pick_formats import read_picks
from seisfm.catalog.projection import LocalProjection
from seisfm.catalog.run import CatalogConfig, run_catalog
from seisfm.configs.loader import CONFIG_FOLDER, load_config
from seisfm.data.continuous.examples import uh_archive, uh_reference_event, uh_stations
from seisfm.data.earth.velocity import VelocityModel

DATA = Path(os.environ.get("SEISFM_DATA", CONFIG_FOLDER.parent.parent / "shared" / "data"))
ICELAND = DATA / "iceland_continuous"
MODEL = VelocityModel((0.0, 3.0), (4.5, 6.0), (2.6, 3.46))
PLANE = LocalProjection(latitude_deg=64.05, longitude_deg=-21.3)
PLACES_KM = np.array([[-8.0, -5.0], [6.0, -7.0], [1.0, 8.0], [-5.0, 4.0], [9.0, 3.0]])
EVENTS = ((1.0, -1.0, 5.0, 40.0), (-3.0, 2.0, 7.0, 95.0))
"""East, north and depth in km, and origin time after the start of the archive in s."""


@pytest.fixture
def made(motion, tmp_path) -> CatalogConfig:
    """Two events at five stations, on disk, with station and velocity tables."""
    latitude, longitude = PLANE.to_degrees(*PLACES_KM.T)
    names = [f"ST0{i}" for i in range(len(PLACES_KM))]
    stations = pd.DataFrame({"network": "XX", "station": names, "latitude": latitude, "longitude": longitude})
    stations.assign(elevation=0.0).to_csv(tmp_path / "stations.csv", index=False)
    MODEL.to_csv(tmp_path / "velocity.csv")
    (tmp_path / "archive").mkdir()
    for i, (name, place) in enumerate(zip(names, PLACES_KM, strict=True)):
        arrivals = [
            tuple(
                origin_s + float(MODEL.travel_time_s(np.hypot(*(place - (x, y))), depth, phase))
                for phase in "PS"
            )
            for x, y, depth, origin_s in EVENTS
        ]
        stream = motion(duration_s=140.0, arrivals=arrivals, station=name, seed=i)
        stream.write(str(tmp_path / "archive" / f"{name}.mseed"), format="MSEED")
    settings = load_config(CatalogConfig, "catalog/local.yaml")
    return dataclasses.replace(
        settings,
        archive=str(tmp_path / "archive"),
        stations=str(tmp_path / "stations.csv"),
        velocity_model=str(tmp_path / "velocity.csv"),
        output_dir=str(tmp_path / "out"),
        show_progress=False,
    )


def test_an_archive_becomes_a_catalog(made, picker):
    run = run_catalog(made, picker)
    folder = run.output_dir
    assert run.errors == []
    assert len(run.catalog) == len(EVENTS)
    found = np.column_stack(
        PLANE.to_km(run.catalog.events["latitude_deg"], run.catalog.events["longitude_deg"])
    )
    truth = np.array(EVENTS)
    assert np.hypot(*(found - truth[:, :2]).T).max() < 0.5
    assert np.abs(run.catalog.events["depth_km"] - truth[:, 2]).max() < 2.0
    assert len(obspy.read_events(str(folder / "catalog.xml"))) == len(EVENTS)
    assert read_picks(folder / "picks.parquet") == run.picks
    again = Catalog.read_csv(folder / "catalog.csv", folder / "arrivals.csv")
    pd.testing.assert_frame_equal(again.arrivals, run.catalog.arrivals, check_exact=True)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["num_events"] == len(EVENTS)
    assert summary["num_picks"] == len(run.picks)
    page = (folder / "report.html").read_text()
    assert page.count("<figure>") == 2 + len(EVENTS)
    assert load_config(CatalogConfig, folder / "catalog.yaml") == made


def test_the_second_run_only_reads(made, picker):
    first = run_catalog(made, picker)
    stamps = {p: p.stat().st_mtime_ns for p in (first.output_dir / "picks").rglob("*")}
    second = run_catalog(made, picker)
    assert stamps == {p: p.stat().st_mtime_ns for p in (first.output_dir / "picks").rglob("*")}
    pd.testing.assert_frame_equal(second.catalog.events, first.catalog.events)


def test_one_station_gives_an_empty_catalog_with_a_report(made, picker):
    (Path(made.archive) / "notes.txt").write_text("a file that is no waveform")
    quiet = dataclasses.replace(made, station_ids=("XX.ST00.",))
    run = run_catalog(quiet, picker)
    assert len(run.catalog) == 0
    assert len(run.picks) > 0
    assert "notes.txt" in (run.output_dir / "report.html").read_text()


def test_missing_inputs_are_named(made, picker):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run_catalog(dataclasses.replace(made, archive="nowhere"), picker)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.xml"):
        run_catalog(dataclasses.replace(made, stations="nowhere.xml"), picker)
    with pytest.raises(FileNotFoundError, match="no-such-model"):
        run_catalog(dataclasses.replace(made, model="no-such-model"))


@pytest.mark.parametrize("path", sorted(CONFIG_FOLDER.glob("catalog/*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_loads(path):
    assert load_config(CatalogConfig, path).picker.refine


def test_obspys_own_earthquakes_lie_where_the_analyst_put_their_neighbour(picker, tmp_path):
    """Two events at four stations; one of the same source, half an hour later, was located by hand."""
    (tmp_path / "archive").mkdir()
    uh_archive().write(str(tmp_path / "archive" / "uh.mseed"), format="MSEED")
    uh_stations().to_csv(tmp_path / "stations.csv", index=False)
    VelocityModel((0.0,), (4.3,), (2.35,)).to_csv(tmp_path / "velocity.csv")
    config = dataclasses.replace(
        load_config(CatalogConfig, "catalog/few_stations.yaml"),
        archive=str(tmp_path / "archive"),
        stations=str(tmp_path / "stations.csv"),
        velocity_model=str(tmp_path / "velocity.csv"),
        output_dir=str(tmp_path / "out"),
        show_progress=False,
    )
    events = run_catalog(config, picker).catalog.events
    reference = uh_reference_event()
    origin = reference.origins[0]
    seconds = events["time"].astype("int64") / 1e9 - obspy.UTCDateTime("2010-05-27T16:24:00").timestamp
    np.testing.assert_allclose(seconds, [32, 209], atol=1.5)
    for event in events.to_dict("records"):
        metres = obspy.geodetics.gps2dist_azimuth(
            event["latitude_deg"], event["longitude_deg"], origin.latitude, origin.longitude
        )[0]
        assert metres < 1500


@pytest.mark.slow
@pytest.mark.skipif(not ICELAND.is_dir(), reason=f"no {ICELAND}: set SEISFM_DATA to the real data")
def test_five_real_minutes_of_hengill(picker, tmp_path):
    """20 stations, 100 and 200 Hz; at least four events are seen by most of them."""
    config = dataclasses.replace(
        load_config(CatalogConfig, "catalog/local.yaml"),
        archive=str(ICELAND),
        stations=str(ICELAND / "stations.csv"),
        velocity_model=str(ICELAND / "velocity_model.txt"),
        output_dir=str(tmp_path / "out"),
        max_record_sections=2,
        show_progress=False,
    )
    run = run_catalog(config, picker)
    assert run.errors == []
    assert run.picks.frame["station_id"].nunique() == 20
    best = run.catalog.events[run.catalog.events["num_stations"] >= 12]
    assert len(best) >= 3
    assert best["latitude_deg"].between(63.9, 64.2).all()
    assert best["longitude_deg"].between(-21.6, -21.0).all()
    assert best["rms_s"].median() < 0.2
