"""S/P ratios are measured at a catalog's picks, corrected, and help its mechanisms."""

import dataclasses

import numpy as np
import obspy
import pandas as pd
import pytest
import torch
from seisfm.catalog.amplitudes import AmplitudesConfig
from seisfm.catalog.associate import AssociationConfig, associate
from seisfm.catalog.events import Catalog
from seisfm.catalog.mechanisms import MechanismFinder, MechanismsConfig
from seisfm.catalog.quakeml import write_quakeml
from seisfm.catalog.station_ratios import (
    MEAN_LOG10_S_TO_P,
    corrections_of,
    read_corrections,
)
from seisfm.data.continuous.archive import Archive
from seisfm.data.mechanism.double_couple import (
    couple_tensors,
    fault_vectors,
    frame_vectors,
    kagan_angles_deg,
    random_frames,
)
from seisfm.data.mechanism.radiation import log10_sp_ratio, ray_products, rays_of
from seisfm.heads.mechanism import MechanismConfig, MechanismHead

TRUE = (210.0, 60.0, -80.0)
PLANES = ["strike_deg", "dip_deg", "rake_deg"]
RATE_HZ = 50.0
TOO_MUCH = 0.4
"""log10 S/P that every record of the archive has beyond the radiation."""


def radiated(network, event, arrivals):
    """log10 S/P that the true mechanism radiates to stations."""
    elevation_m = network.stations.set_index("id")["elevation_m"].loc[arrivals["station_id"]]
    rays = network.model.rays(arrivals["distance_km"], event["depth_km"], "P", elevation_m)
    directions = (torch.tensor(np.asarray(angle)) for angle in (arrivals["azimuth_deg"], rays.takeoff_deg))
    tensor = couple_tensors(*fault_vectors(torch.tensor(TRUE).double()))[None]
    return log10_sp_ratio(ray_products(rays_of(*directions)), tensor)[:, 0].numpy()


def velocity_of(p_s, s_s, ratio, num_samples):
    """Vertical P and horizontal S pulses of one shape whose displacements have a ratio; Z, N, E counts."""
    time_s = np.arange(num_samples) / RATE_HZ
    pulses = [
        np.where(abs(time_s - t - 0.1) < 0.1, np.cos(5 * np.pi * (time_s - t - 0.1)) ** 2, 0)
        for t in (p_s, s_s)
    ]
    motion = np.stack([pulses[0], 10**ratio * pulses[1], np.zeros(num_samples)])
    noise = np.random.default_rng(0).normal(0.0, 0.5, motion.shape)
    return (3e4 * np.gradient(motion, axis=1) + noise).astype(np.float32)


@pytest.fixture(scope="module")
def located(network) -> Catalog:
    config = AssociationConfig(n_picks=20, n_p_picks=10, n_s_picks=10, min_node_size_km=8.0)
    return associate(network.picks, network.stations, config, network.model)


@pytest.fixture(scope="module")
def archive(network, located, tmp_path_factory) -> Archive:
    """The first event at all stations but the last two, of which one has the vertical alone."""
    event = located.events.iloc[0]
    arrivals = located.arrivals_of(event["event_id"])
    p_rows = arrivals[arrivals["phase"] == "P"].sort_values("station_id")
    s_times = arrivals[arrivals["phase"] == "S"].set_index("station_id")["time"]
    folder = tmp_path_factory.mktemp("archive")
    ratios = radiated(network, event, p_rows) + TOO_MUCH
    for ratio, pick in list(zip(ratios, p_rows.to_dict("records"), strict=True))[:-1]:
        station = pick["station_id"].split(".")[1]
        start = obspy.UTCDateTime(ns=pick["time"].value) - 10.0
        s_s = 10.0 + (s_times[pick["station_id"]] - pick["time"]).total_seconds()
        motion = velocity_of(10.0, s_s, ratio, round(25 * RATE_HZ))
        last = pick["station_id"] == p_rows["station_id"].iloc[-2]
        stream = obspy.Stream(
            obspy.Trace(
                row,
                {"network": "XX", "station": station, "channel": f"HH{name}", "sampling_rate": RATE_HZ}
                | {"starttime": start},
            )
            for name, row in zip("Z" if last else "ZNE", motion, strict=False)
        )
        stream.write(str(folder / f"{station}.mseed"), format="MSEED")
    return Archive.open(folder)


def found_with(located, network, archive, **settings):
    amplitudes = settings.pop("amplitudes", None) or AmplitudesConfig()
    config = MechanismsConfig(trials=6, amplitudes=amplitudes, **settings)
    return MechanismFinder(config, network.model, archive).add_to(located, network.stations)


@pytest.fixture(scope="module")
def uncorrected(located, network, archive) -> Catalog:
    return found_with(located, network, archive, amplitudes=AmplitudesConfig(corrections=None))


def p_arrivals(catalog):
    arrivals = catalog.arrivals_of(catalog.events["event_id"][0])
    return arrivals[arrivals["phase"] == "P"].sort_values("station_id")


def test_ratios_are_those_of_the_waveforms(uncorrected, network):
    used = p_arrivals(uncorrected)
    expected = radiated(network, uncorrected.events.iloc[0], used) + TOO_MUCH
    measured = used["log10_s_to_p"].notna().to_numpy()
    assert measured.sum() == uncorrected.events["num_ratios"][0] >= 26
    np.testing.assert_allclose(used["log10_s_to_p"][measured], expected[measured], atol=0.1)
    assert used["p_snr_db"].notna().sum() >= measured.sum() and (used["s_snr_db"][measured] > 9.0).all()
    others = uncorrected.arrivals.drop(index=used.index)
    assert others["log10_s_to_p"].isna().all() and others["takeoff_deg"].isna().all()


def test_what_was_not_measured_is_told(uncorrected, located):
    notes = [(note.item, note.reason) for note in uncorrected.skipped]
    first = f"S/P of {located.events['event_id'][0]}"
    assert (first, "1 of 30 stations: not in the archive") in notes
    assert (first, "1 of 30 stations: without three components") in notes
    second = f"S/P of {located.events['event_id'][1]}"
    assert (second, "29 of 30 stations: no waveform of the pick's instrument") in notes


def test_a_predicted_s_stands_in_for_one_that_nobody_picked(located, uncorrected, network, archive):
    arrivals = located.arrivals[located.arrivals["phase"] == "P"]
    alone = found_with(
        dataclasses.replace(located, arrivals=arrivals),
        network,
        archive,
        amplitudes=AmplitudesConfig(corrections=None),
    )
    ratios = p_arrivals(alone)["log10_s_to_p"].to_numpy()
    np.testing.assert_allclose(ratios, p_arrivals(uncorrected)["log10_s_to_p"].to_numpy(), atol=0.05)


def test_few_ratios_cannot_correct_themselves_and_are_left_out(located, network, archive):
    found = found_with(located, network, archive)
    reasons = {note.item: note.reason for note in found.skipped}
    assert "at least 30 are needed" in reasons["corrections of S/P"]
    assert found.events["num_ratios"].tolist() == [0, 0, 0] and found.events["strike_deg"].notna()[0]


def kagan_deg(catalog):
    angles = catalog.events.iloc[0][PLANES].to_numpy(float)
    return float(kagan_angles_deg(*(torch.tensor(list(one)).double() for one in (angles, TRUE))))


def test_corrected_ratios_make_few_first_motions_enough(located, network, archive, tmp_path):
    """Half of the first motions alone leave much open; with the ratios of all stations less."""
    arrivals = located.arrivals.copy()
    first = located.events["event_id"][0]
    p_rows = arrivals.index[(arrivals["event_id"] == first) & (arrivals["phase"] == "P")]
    arrivals.loc[p_rows[::2], "polarity"] = "undecidable"
    few = dataclasses.replace(located, arrivals=arrivals)
    table = pd.DataFrame({"station_id": network.stations["id"], "log10_s_to_p": TOO_MUCH})
    table.to_csv(tmp_path / "corrections.csv", index=False)
    amplitudes = AmplitudesConfig(corrections=str(tmp_path / "corrections.csv"))
    wide = {"max_gap_deg": 180.0, "max_takeoff_gap_deg": 90.0}
    found = found_with(few, network, archive, amplitudes=amplitudes, **wide)
    config = MechanismsConfig(trials=6, **wide)
    without = MechanismFinder(config, network.model).add_to(few, network.stations)
    event, plain = found.events.iloc[0], without.events.iloc[0]
    assert event["num_polarities"] == plain["num_polarities"] == 15 and event["num_ratios"] >= 26
    assert event["mechanism_error_deg"] < plain["mechanism_error_deg"] and kagan_deg(found) < 12.0
    assert event["ratio_misfit_log10"] < 0.25 and np.isnan(plain["ratio_misfit_log10"])
    used = p_arrivals(found)
    assert set(used["polarity_weight"][used["takeoff_deg"].notna()]) == {0.0, 1.0}
    write_quakeml(found, tmp_path / "catalog.xml")
    comments = obspy.read_events(str(tmp_path / "catalog.xml"))[0].preferred_focal_mechanism().comments
    assert f"num_s_to_p: {event['num_ratios']}" in [comment.text for comment in comments]


def test_a_network_reads_ratios_too(located, network, archive, tmp_path):
    torch.manual_seed(0)
    head = MechanismHead(MechanismConfig(dim=8, num_layers=1, num_attention_heads=2))
    head.save_pretrained(tmp_path / "net")
    settings = {"method": "network", "model": str(tmp_path / "net")}
    amplitudes = AmplitudesConfig(corrections=None)
    found = found_with(located, network, archive, amplitudes=amplitudes, **settings)
    without = MechanismFinder(MechanismsConfig(trials=6, **settings), network.model)
    plain = without.add_to(located, network.stations)
    assert found.events["num_ratios"][0] >= 26
    assert found.events["mechanism_error_deg"][0] != plain.events["mechanism_error_deg"][0]


def test_corrections_find_what_stations_have_too_much():
    generator = torch.Generator().manual_seed(0)
    tensors = couple_tensors(*frame_vectors(random_frames(400, generator)))
    products = ray_products(rays_of(torch.linspace(0.0, 300.0, 6), torch.linspace(20.0, 120.0, 6))).double()
    ratios = log10_sp_ratio(products, tensors.double())
    assert float(ratios.mean()) == pytest.approx(MEAN_LOG10_S_TO_P, abs=0.03)
    beyond = np.array([-0.3, -0.1, 0.0, 0.0, 0.1, 0.3]) - 0.5
    seen = pd.Series((ratios.numpy() + beyond[:, None]).ravel())
    stations = pd.Series(np.repeat(list("abcdef"), 400))
    found = corrections_of(seen, stations).groupby(stations).first()
    np.testing.assert_allclose(found, beyond, atol=0.08)


def test_a_station_with_few_ratios_is_drawn_to_all():
    seen, stations = pd.Series([0.5] * 20 + [2.0, np.nan]), pd.Series(["a"] * 20 + ["b", "c"])
    found = corrections_of(seen, stations) + MEAN_LOG10_S_TO_P
    assert found[0] < seen.mean() < found[20] < 1.0
    assert found[21] == pytest.approx(seen.mean())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("station,correction\nXX.M00.,0.1\n", "must have the columns"),
        ("station_id,log10_s_to_p\nXX.M00.,much\n", "one number for each station"),
        ("station_id,log10_s_to_p\nXX.M00.,0.1\nXX.M00.,0.2\n", "one number for each station"),
    ],
)
def test_tables_of_corrections_are_checked(text, message, tmp_path, network, archive):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_corrections(tmp_path / "table.csv")
    with pytest.raises(FileNotFoundError, match="station corrections"):
        read_corrections(tmp_path / "nowhere.csv")


def test_amplitudes_need_an_archive(network):
    with pytest.raises(ValueError, match="measured in an archive"):
        MechanismFinder(MechanismsConfig(amplitudes=AmplitudesConfig()), network.model)
