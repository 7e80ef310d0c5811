"""Windows of networks: from synthetic Earths and from records, all stations from one time on."""

import dataclasses

import numpy as np
import pytest
import torch
from seisfm.data.loading.network_windows import NetworkLoader, RecordedNetworks
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record
from seisfm.data.synthesis.config import SynthesisConfig
from seisfm.data.synthesis.geometry import geometry_between
from seisfm.data.synthesis.network_windows import NetworkWindowsConfig, SyntheticNetworks

NAN = float("nan")


@pytest.fixture(scope="module")
def config():
    synthesis = SynthesisConfig(snr=(0.3, 30.0))
    return NetworkWindowsConfig(stations=(2, 6), window_s=20.0, first_p_s=(2.0, 6.0), synthesis=synthesis)


@pytest.fixture(scope="module")
def networks(config):
    return SyntheticNetworks(config, seed=4)


@pytest.fixture(scope="module")
def batch(networks):
    return networks.network_windows(torch.arange(40))


def test_a_network_has_as_many_stations_as_asked_for(batch):
    counts = batch.event_index.bincount()
    assert len(counts) == 40 and set(counts.tolist()) == {2, 3, 4, 5, 6}


def of_network(batch, values):
    return [values[batch.event_index == number] for number in range(int(batch.event_index.max()) + 1)]


def test_all_windows_of_a_network_begin_at_one_time_and_know_one_origin(batch):
    for start, origin_s in zip(
        of_network(batch, batch.start_time), of_network(batch, batch.labels["origin_s"]), strict=True
    ):
        known = origin_s[origin_s.isfinite()]
        assert float(start.max() - start.min()) < 1e-3
        assert len(known) == 0 or float(known.max() - known.min()) < 1e-3


def test_the_first_p_of_the_network_is_where_it_was_asked_for(config, networks):
    loud = dataclasses.replace(config, heard_db=-1e9)
    batch = SyntheticNetworks(loud, seed=4).network_windows(torch.arange(12))
    first_s = [
        float(p[p.isfinite()].min())
        for p in of_network(batch, batch.labels["p_arrival_s"])
        if p.isfinite().any()
    ]
    assert first_s and min(first_s) >= 2.0 and max(first_s) <= 6.0


def test_a_network_does_not_depend_on_its_company(networks, batch):
    alone = networks.network_windows(torch.tensor([7]))
    same = batch.select(batch.event_index == 7)
    scale = same.waveform.nan_to_num().abs().amax(dim=-1, keepdim=True)
    assert alone.station_id == same.station_id
    assert ((alone.waveform - same.waveform).nan_to_num().abs() <= 1e-3 * scale).all()


def test_seconds_since_the_origin_are_those_of_waves(batch):
    labels = batch.labels
    p_s, s_s = (labels[f"{phase}_arrival_s"][:, 0] - labels["origin_s"][:, 0] for phase in "ps")
    known = p_s.isfinite() & s_s.isfinite()
    assert known.any() and (p_s[known] > 0).all() and (s_s[known] > 1.3 * p_s[known]).all()
    hypocentral_km = (labels["distance_km"] ** 2 + labels["depth_km"] ** 2).sqrt()
    speed_km_s = (hypocentral_km / p_s)[known & hypocentral_km.isfinite()]
    assert float(speed_km_s.min()) > 1.0 and float(speed_km_s.max()) < 8.7


def test_what_nobody_could_see_is_not_labelled(batch):
    for phase in "ps":
        faint = batch.labels[f"{phase}_snr_db"] < -3.0
        assert faint.any()
        assert not batch.labels[f"{phase}_arrival_s"][faint].isfinite().any()
        assert not batch.labels[f"{phase}_labelled"][faint].any()
        assert batch.labels[f"{phase}_labelled"][~faint].all()
    assert (batch.labels["polarity"][batch.labels["p_arrival_s"].isnan()] == -1).all()


def test_events_need_not_lie_inside_of_their_network(networks):
    views, network = networks._views(torch.arange(60))
    sources, geometry = views.scene.sources, views.scene.geometry
    again = geometry_between(
        sources, geometry.station_latitude_deg, geometry.station_longitude_deg, geometry.station_elevation_m
    )
    assert torch.allclose(again.distance_km, geometry.distance_km)
    azimuth = geometry.azimuth_deg.double().deg2rad()
    gaps = [
        np.diff(np.sort(part.numpy()), append=part.min() + 2 * np.pi).max()
        for part in azimuth.split(network.bincount().tolist())
    ]
    assert np.mean(np.array(gaps) > np.pi) > 0.3


def test_noise_is_a_network_window_too():
    types = {"noise": 1.0} | dict.fromkeys(
        ("earthquake", "quarry_blast", "explosion", "collapse", "surface_event"), 0.0
    )
    synthesis = SynthesisConfig()
    shares = dataclasses.replace(synthesis.sources.types, **types)
    sources = dataclasses.replace(synthesis.sources, types=shares)
    config = NetworkWindowsConfig(synthesis=dataclasses.replace(synthesis, sources=sources))
    batch = SyntheticNetworks(config, seed=0).network_windows(torch.arange(3))
    labels = batch.labels
    assert labels["p_labelled"].all() and labels["s_labelled"].all()
    assert all(labels[name].isnan().all() for name in ("p_arrival_s", "s_arrival_s", "origin_s"))


def test_batches_of_all_ranks_are_those_of_one(networks):
    whole = NetworkLoader(networks, 4).batch(1)
    parts = [NetworkLoader(networks, 2, rank, 2).batch(1) for rank in (0, 1)]
    assert whole.station_id == parts[0].station_id + parts[1].station_id
    assert next(NetworkLoader(networks, 4).batches(1)).station_id == whole.station_id


@pytest.mark.parametrize("settings", [{"networks": 0}, {"networks": 2, "rank": 2, "world_size": 2}])
def test_impossible_loaders_are_refused(networks, settings):
    with pytest.raises(ValueError, match="networks must be 1 or more and rank lie in 0 to world_size"):
        NetworkLoader(networks, **settings)


def record(event, station, begin, p_s=NAN, length_s=60.0, rate_hz=100.0):
    """A ramp that tells the UTC second of each of its samples."""
    ramp = begin + np.arange(round(length_s * rate_hz)) / rate_hz
    return Record(
        record_id=f"{event}/{station}",
        waveform=np.tile(ramp, (3, 1)).astype(np.float32),
        component_names=("Z", "N", "E"),
        sampling_rate_hz=rate_hz,
        start_time=begin,
        station_id=station,
        event_id=event,
        arrivals=() if np.isnan(p_s) else (Arrival(phase="P", time_s=p_s - begin),),
        labelled_phases=frozenset({"P"}),
        metadata={
            "station_latitude_deg": 46.0,
            "station_longitude_deg": 8.0,
            "station_elevation_m": 100.0,
        },
    )


RECORDS = [
    record("a", "XX.A.", 100.0, p_s=120.0),
    record("b", "XX.A.", 500.0, p_s=530.0),
    record("a", "XX.B.", 103.0, p_s=118.0),
    record("a", "XX.C.", 90.0, p_s=125.0, rate_hz=50.0),
    record("b", "XX.C.", 520.0, p_s=541.0),
    record("c", "XX.A.", 900.0),
    record("a", "XX.D.", NAN),
]


def test_records_of_one_event_are_cut_from_one_time_on():
    source = RecordedNetworks(RECORDS, WindowConfig(window_s=20.0, arrival_fraction=1.0), seed=0)
    batch = source.network_windows(torch.arange(4))
    middle = batch.waveform[:, 0, 1000]
    for start, value, p_s, number in zip(
        batch.start_time.tolist(),
        middle.tolist(),
        batch.labels["p_arrival_s"][:, 0].tolist(),
        batch.event_index,
        strict=True,
    ):
        own = batch.start_time[batch.event_index == number]
        assert float(own.max() - own.min()) <= 0.02
        assert value == pytest.approx(start + 10.0, abs=0.01) or np.isnan(value)
        assert np.isnan(p_s) or start + p_s in (pytest.approx(t, abs=0.02) for t in (120, 118, 125, 530, 541))
    assert set(batch.event_id) == {"a", "b"}
    first_s = [p[p.isfinite()].min() for p in of_network(batch, batch.labels["p_arrival_s"])]
    assert all(1.0 <= float(p) <= 19.0 for p in first_s)


def test_each_epoch_has_every_event_once():
    source = RecordedNetworks(RECORDS, WindowConfig(window_s=20.0), seed=0)
    for epoch in range(4):
        numbers = torch.arange(len(source)) + epoch * len(source)
        assert set(source.network_windows(numbers).event_id) == {"a", "b"}


def test_what_is_no_network_is_told():
    source = RecordedNetworks(RECORDS, WindowConfig(window_s=20.0), seed=0)
    assert {(one.item, one.reason) for one in source.skipped} == {
        ("a/XX.D.", "no start time"),
        ("c", "1 records, wanted are 2 or more"),
    }
    with pytest.raises(ValueError, match="no event has 5 records with a start time: 4 were skipped"):
        RecordedNetworks(RECORDS, WindowConfig(window_s=20.0), seed=0, fewest_stations=5)
