import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.instruments.harmonization import HarmonizationConfig
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.loading.window_source import WindowSource, fixed_windows
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record, Subset
from seisfm.data.sources import JoinedRecords

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def make_record(
    duration_s=60.0, rate_hz=100.0, arrivals=(), names=("Z", "N", "E"), labelled="PS", **fields
) -> Record:
    """Samples count from 1 upwards, so that each tells where it comes from; row r is that times r + 1."""
    count = np.arange(1, round(duration_s * rate_hz) + 1, dtype=np.float32)
    return Record(
        **{
            "record_id": "r",
            "waveform": count * np.arange(1, len(names) + 1, dtype=np.float32)[:, None],
            "component_names": names,
            "sampling_rate_hz": rate_hz,
            "arrivals": arrivals,
            "labelled_phases": frozenset(labelled),
            **fields,
        }
    )


def arrival(phase, time_s, event=0, polarity=None):
    return Arrival(phase=phase, time_s=time_s, event=event, polarity=polarity)


def cut_windows(records, config, seed=0):
    """A window of each record, at a place that the seed and the record's position decide."""
    count = len(records)
    random = WindowRandom(window_keys(torch.arange(count), seed))
    return WindowSource(records).cut(np.arange(count), random, config)


def cut_windows_at(records, starts, config):
    """A window of each record, from a given sample on."""
    return WindowSource(records).cut_at(np.arange(len(records)), np.array(starts), config)


@settings(max_examples=60, deadline=None)
@given(
    duration_s=st.floats(5.0, 120.0),
    arrival_share=st.floats(0.0, 0.999),
    arrival_fraction=st.sampled_from([0.0, 1.0]),
    rate_hz=st.sampled_from([100.0, 40.0]),
    seed=st.integers(0, 1000),
)
def test_a_window_holds_its_samples_its_arrival_and_half_of_itself(
    duration_s, arrival_share, arrival_fraction, rate_hz, seed
):
    p_s = arrival_share * duration_s
    record = make_record(duration_s, rate_hz, [arrival("P", p_s)])
    config = WindowConfig(
        window_s=20.0, sampling_rate_hz=rate_hz, arrival_fraction=arrival_fraction, margin_s=1.0
    )
    batch = cut_windows([record], config, seed)
    observed = batch.observed[0, 0]
    overlap = int(observed.sum())
    assert overlap >= min(10.0 * rate_hz, record.waveform.shape[1]) - 1
    if arrival_fraction == 0:
        assert overlap == min(config.num_samples, record.waveform.shape[1])
    seen = batch.waveform[0, 0][observed]
    assert (seen.diff() == 1).all()
    # The sample at the label's time is the record's sample at the arrival's time.
    start = int(seen[0]) - 1 - int(observed.nonzero()[0])
    label_s = float(batch.labels["p_arrival_s"][0, 0])
    if not np.isnan(label_s):
        assert label_s == pytest.approx(p_s - start / rate_hz, abs=1e-4)
    if arrival_fraction == 1:
        assert 1.0 - 0.5 / rate_hz - 1e-4 <= label_s <= 19.0 + 0.5 / rate_hz + 1e-4


def test_arrivals_fall_evenly_between_the_margins():
    record = make_record(120.0, arrivals=[arrival("P", 60.0), arrival("S", 70.0)])
    config = WindowConfig(window_s=30.0, arrival_fraction=1.0, margin_s=3.0)
    p_s = cut_windows([record] * 2000, config, 0).labels["p_arrival_s"][:, 0]
    histogram = torch.histogram(p_s, bins=6, range=(3.0, 27.0)).hist
    assert histogram.sum() == 2000
    assert (histogram - 2000 / 6).abs().max() < 5 * (2000 / 6) ** 0.5


def test_the_given_share_is_placed_around_the_arrival():
    # Far from the only P, a window placed anywhere hardly ever meets it.
    record = make_record(3000.0, arrivals=[arrival("P", 2000.0)])
    config = WindowConfig(arrival_fraction=0.7, window_s=20.0)
    p_s = cut_windows([record] * 1000, config, 0).labels["p_arrival_s"][:, 0]
    inside = ((p_s >= 0) & (p_s < 20)).float().mean()
    assert abs(inside - 0.7) < 0.05


def test_the_same_generator_gives_the_same_windows():
    records = [make_record(90.0, arrivals=[arrival("P", 30.0)])] * 8
    first, second, other = (cut_windows(records, WindowConfig(), seed) for seed in (1, 1, 2))
    assert torch.equal(first.waveform, second.waveform)
    assert not torch.equal(first.waveform, other.waveform)


def test_a_missing_component_is_not_observed_and_components_go_to_their_slots():
    config = WindowConfig(window_s=2.0, margin_s=0.5, components=("Z", "N", "E", "H"))
    record = make_record(2.0, names=("2", "1", "Z"))
    batch = cut_windows_at([record, make_record(2.0, names=("Z",))], [0, 0], config)
    torch.testing.assert_close(batch.waveform[0, :3, 0], torch.tensor([3.0, 2.0, 1.0]))
    assert batch.observed.any(dim=-1).tolist() == [[True, True, True, False], [True, False, False, False]]
    assert batch.waveform[1, 1:].isnan().all()


def test_a_record_without_any_configured_component_is_refused():
    with pytest.raises(ValueError, match=r"components \('H',\), none of which is among the configured"):
        cut_windows([make_record(names=("H",))], WindowConfig(), 0)


@pytest.mark.parametrize("rate_hz", [20.0, 40.0, 62.5, 125.0, 200.0])
def test_another_rate_keeps_waveform_arrivals_offset_and_gaps(rate_hz):
    time_s = np.arange(round(60 * rate_hz)) / rate_hz
    waveform = (1e4 + np.sin(2 * np.pi * 3.0 * time_s + 0.4)).astype(np.float32)[None]
    waveform[0, round(30 * rate_hz) : round(32 * rate_hz)] = np.nan
    record = make_record(60.0, rate_hz, [arrival("P", 25.0)], names=("Z",), waveform=waveform)
    start = round(17.2 * rate_hz)
    batch = cut_windows_at([record], [start], WindowConfig(window_s=20.0))
    after_s = start / rate_hz + torch.arange(2000, dtype=torch.float64) / 100.0
    expected = 1e4 + torch.sin(2 * np.pi * 3.0 * after_s + 0.4)
    observed = batch.observed[0, 0]
    near_gap = (after_s > 27) & (after_s < 35)
    assert (batch.waveform[0, 0] - expected)[observed & ~near_gap].abs().max() < 5e-3
    lost_s = after_s[~observed]
    assert abs(float(lost_s[0]) - 30) <= 1 / rate_hz
    assert abs(float(lost_s[-1]) - 32) <= 2 / min(rate_hz, 100.0)
    assert float(batch.labels["p_arrival_s"]) == pytest.approx(25.0 - start / rate_hz, abs=1e-5)
    assert batch.sampling_rate_hz.tolist() == [100.0]


@pytest.mark.parametrize("rate_hz", [99.96, 100.03, 40.02])
def test_a_rate_beside_a_round_one_moves_no_arrival_within_a_window(rate_hz):
    # Cut as if it were 100 Hz, a window of 99.96 Hz shows an arrival 12 ms early after 30 s.
    arrival_s, width_s = 29.0, 0.05
    time_s = np.arange(round(60 * rate_hz)) / rate_hz
    pulse = np.exp(-0.5 * ((time_s - arrival_s) / width_s) ** 2).astype(np.float32)
    record = make_record(60.0, rate_hz, [arrival("P", arrival_s)], waveform=np.tile(pulse, (3, 1)))
    batch = cut_windows_at([record], [0], WindowConfig())
    window_s = np.arange(3000) / 100.0
    expected = np.exp(-0.5 * ((window_s - float(batch.labels["p_arrival_s"][0, 0])) / width_s) ** 2)
    # One millisecond off would show as 0.012.
    np.testing.assert_allclose(batch.waveform[0, 0].numpy(), expected, atol=2e-3)


def test_a_resampled_window_beyond_the_record_is_not_observed():
    batch = cut_windows_at([make_record(10.0, 50.0)], [-250], WindowConfig(window_s=20.0))
    first, last = batch.observed[0, 0].nonzero().flatten()[[0, -1]].tolist()
    assert abs(first - 500) <= 1  # half an input sample
    assert abs(last - 1499) <= 1
    outside = cut_windows_at([make_record(10.0)], [5000], WindowConfig(window_s=20.0))
    assert not outside.observed.any()


def test_p_and_s_of_an_event_share_a_column_in_order_of_time():
    arrivals = [
        arrival("S", 41.0, event=7, polarity=None),
        arrival("P", 38.0, event=7, polarity="negative"),
        arrival("Pg", 25.5, event=3, polarity="undecidable"),
        arrival("Pn", 25.0, event=3, polarity="positive"),
        arrival("Pb", 26.0, event=3),
        arrival("PcP", 20.0, event=3),
        arrival("S", 30.0, event=3),
        arrival("P", 500.0, event=9),
    ]
    batch = cut_windows_at([make_record(600.0, arrivals=arrivals)], [2000], WindowConfig(window_s=30.0))
    assert batch.labels["p_arrival_s"].tolist() == [[5.0, 18.0]]
    assert batch.labels["s_arrival_s"].tolist() == [[10.0, 21.0]]
    assert batch.labels["polarity"].tolist() == [[0, 1]]


def test_arrivals_up_to_one_window_away_are_kept():
    arrivals = [arrival("P", 15.0), arrival("S", 25.0), arrival("P", 81.0, 1), arrival("S", 79.0, 2)]
    batch = cut_windows_at([make_record(200.0, arrivals=arrivals)], [2000], WindowConfig(window_s=30.0))
    torch.testing.assert_close(batch.labels["p_arrival_s"], torch.tensor([[-5.0, torch.nan]]), equal_nan=True)
    torch.testing.assert_close(batch.labels["s_arrival_s"], torch.tensor([[5.0, 59.0]]))


def test_what_nobody_labelled_is_unknown():
    records = [make_record(labelled="P"), make_record(labelled="")]
    labels = cut_windows_at(records, [0, 0], WindowConfig()).labels
    assert labels["p_labelled"].tolist() == [True, False]
    assert labels["s_labelled"].tolist() == [False, False]
    assert labels["p_arrival_s"].shape == (2, 1)
    assert labels["p_arrival_s"].isnan().all()


def test_source_labels_hold_where_the_event_is_in_the_window():
    metadata = {
        "source_magnitude": 2.5,
        "path_ep_distance_km": 31.0,
        "path_back_azimuth_deg": 270.0,
        "source_depth_km": None,
        "station_latitude_deg": -21.0,
    }
    record = make_record(90.0, arrivals=[arrival("P", 40.0)], metadata=metadata)
    unpicked = make_record(90.0, metadata=metadata, labelled="")
    batch = cut_windows_at([record, record, unpicked], [2000, 5000, 0], WindowConfig())
    torch.testing.assert_close(batch.labels["magnitude"], torch.tensor([2.5, torch.nan, 2.5]), equal_nan=True)
    assert float(batch.labels["distance_km"][0]) == 31.0
    assert float(batch.labels["back_azimuth_deg"][0]) == 270.0
    assert batch.labels["depth_km"].isnan().all()
    assert batch.station_geometry is not None
    assert batch.station_geometry[0, 0] == -21.0
    assert batch.station_geometry[:, 1:].isnan().all()


def test_a_window_knows_where_and_when_it_is():
    record = make_record(start_time=1.5e9, station_id="NC.ABC.", event_id="ev", unit="counts")
    batch = cut_windows_at([record], [150], WindowConfig())
    assert batch.start_time is not None
    assert float(batch.start_time) == 1.5e9 + 1.5
    assert (batch.station_id, batch.event_id, batch.unit) == (("NC.ABC.",), ("ev",), ("counts",))


def test_no_records_are_refused():
    with pytest.raises(ValueError, match="windows need one record or more, found none"):
        cut_windows([], WindowConfig())


def test_a_table_and_a_lazy_sequence_give_the_same_windows():
    # The list is read once into a table; the subset makes each record when it is asked for.
    records = [
        make_record(
            40.0 + i, 100.0 if i % 3 else 50.0, [arrival("P", 5.0 + i), arrival("S", 9.0 + i, event=i % 2)]
        )
        for i in range(12)
    ]
    random = WindowRandom(window_keys(torch.arange(12), 7))
    positions = np.arange(12)[::-1].copy()
    table, lazy = WindowSource(records), WindowSource(Lazy(records))
    first, second = (source.cut(positions, random, WindowConfig()) for source in (table, lazy))
    torch.testing.assert_close(first.waveform, second.waveform, rtol=0, atol=0, equal_nan=True)
    for name, label in first.labels.items():
        torch.testing.assert_close(label, second.labels[name], rtol=0, atol=0, equal_nan=True)


def test_windows_do_not_depend_on_their_company():
    records = [make_record(60.0, 100.0 if i % 3 else 40.0, [arrival("P", 5.0 + i)]) for i in range(12)]
    random = WindowRandom(window_keys(torch.arange(12), 7))
    whole = WindowSource(records).cut(np.arange(12), random, WindowConfig())
    for rows in ([3], [11, 0, 5]):
        part = WindowSource(records).cut(np.array(rows), random.select(torch.tensor(rows)), WindowConfig())
        torch.testing.assert_close(part.waveform, whole.waveform[rows], rtol=0, atol=0, equal_nan=True)


class Lazy(Sequence):
    """A sequence that gives records only when it is asked."""

    def __init__(self, records):
        self.records = records

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_fixed_windows_depend_on_the_record_alone(batch_size):
    records = [make_record(90.0, arrivals=[arrival("P", 30.0)], record_id=str(i)) for i in range(7)]
    reference = fixed_windows(records, WindowConfig(), seed=5, windows_per_record=2)
    assert len(reference) == 1
    again = fixed_windows(records, WindowConfig(), 5, windows_per_record=2, batch_size=batch_size)
    assert torch.equal(torch.cat([batch.waveform for batch in again]), reference[0].waveform)
    assert not torch.equal(reference[0].waveform[::2], reference[0].waveform[1::2])
    backwards = fixed_windows(records[::-1], WindowConfig(), seed=5)
    assert torch.equal(backwards[0].waveform.flip(0), reference[0].waveform[::2])
    other = fixed_windows(records, WindowConfig(), seed=6, windows_per_record=2)
    assert not torch.equal(other[0].waveform, reference[0].waveform)


def test_fixed_windows_refuse_none_a_record():
    with pytest.raises(ValueError, match="must be 1 or more, found 0 and 64"):
        fixed_windows([make_record()], WindowConfig(), 0, windows_per_record=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_s": 0.001}, "must hold one sample or more"),
        ({"sampling_rate_hz": -1.0}, "must hold one sample or more"),
        ({"components": ("Z", "X")}, r"components must be some of .* found \('Z', 'X'\)"),
        ({"components": ("Z", "Z")}, "each once"),
        ({"components": ()}, "components must be some of"),
        ({"arrival_fraction": 1.5}, "arrival_fraction must lie in 0 to 1, found 1.5"),
        ({"also_s": (0.001,)}, "also_s must be lengths of one sample or more"),
        ({"length_block": 0}, "length_block 1 or more"),
        ({"also_s": (2.0,)}, r"half of window_s \(1 s\), found 1.0"),
        ({"margin_s": 15.0}, r"half of window_s \(15 s\), found 15.0"),
    ],
)
def test_impossible_windows_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        WindowConfig(**settings)


@pytest.mark.skipif(not (REAL_DATA / "ncedc_phasenet").is_dir(), reason="needs SEISFM_DATA/ncedc_phasenet")
def test_real_vertical_only_stations_lack_their_horizontals():
    records, _ = read_phasenet_npz(REAL_DATA / "ncedc_phasenet")
    batch = cut_windows(records, WindowConfig(), 0)
    assert len(batch) == 154
    lacking = ~batch.observed[:, 1:].any(dim=-1).all(dim=-1)
    assert int(lacking.sum()) == 39
    assert batch.waveform[lacking, 1:].isnan().all()
    assert batch.observed[:, 0].any(dim=-1).all()
    # A real P: the second after it is stronger than the second before it in nearly every window.
    p_s = batch.labels["p_arrival_s"][:, 0]
    sample = torch.arange(batch.num_samples)[None]
    p = (p_s * 100).round()[:, None]
    vertical = torch.nan_to_num(batch.waveform[:, 0] - batch.waveform[:, 0].nanmean(dim=1, keepdim=True))
    after = torch.where((sample >= p) & (sample < p + 100), vertical.square(), 0).sum(1)
    before = torch.where((sample < p - 10) & (sample >= p - 110), vertical.square(), 0).sum(1)
    full = (p_s > 1.2) & (p_s < 28)
    assert int(full.sum()) > 100
    assert float((after > 2 * before)[full].float().mean()) > 0.9


def test_windows_are_harmonized_from_corpora_subsets_and_lists_alike(tmp_path):
    metadata = {
        "trace_response_state": "raw",
        "trace_sensitivity": [4.0, 2.0, 2.0],
        "trace_sensitivity_unit": "m/s",
        "trace_component_azimuth_deg": [0.0, 90.0, 180.0],
        "trace_component_dip_deg": [90.0, 0.0, 0.0],
    }
    # The vertical is wired downwards, component 1 points east and component 2 south.
    told = make_record(names=("Z", "1", "2"), unit="counts", metadata=metadata)
    untold = make_record(unit="counts", record_id="untold")
    config = WindowConfig(
        window_s=10.0,
        harmonization=HarmonizationConfig(unit="m/s", response="sensitivity", orient=True),
    )
    corpus = write_corpus([told, untold], tmp_path / "corpus", CorpusConfig())
    joined = JoinedRecords([Subset(corpus, [0]), [untold]])
    for records in ([told, untold], corpus, Subset(corpus, [0, 1]), joined, Lazy([told, untold])):
        source = WindowSource(records, config.harmonization)
        batch = source.cut_at(np.array([0, 1]), np.array([0, 0]), config)
        assert batch.unit == ("m/s", "counts")
        assert batch.waveform[:, :, 0].tolist() == [[-0.25, -1.5, 1.0], [1.0, 2.0, 3.0]]
        assert sum(source.harmonizer.kept.values()) == 2  # in unit and in orientation
