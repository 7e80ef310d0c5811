"""The synthetic Earth as a whole: records that belong to their numbers, true labels, endless windows."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from seisfm.configs.loader import build_config, load_config, save_config
from seisfm.data.batch import WaveformBatch
from seisfm.data.event_types import EVENT_TYPES
from seisfm.data.instruments.harmonization import HarmonizationConfig
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.record_facts import record_facts
from seisfm.data.records import POLARITIES, Subset
from seisfm.data.sources import SourceConfig, load_all, load_records
from seisfm.data.splitting.splits import split_validation
from seisfm.data.synthesis import SynthesisConfig, SyntheticEarth, SyntheticRecords, regions
from seisfm.data.synthesis.labelled_windows import EPOCH_2020_S

SHORT = {"duration_s": [40.0, 45.0], "pre_event_s": [8.0, 12.0], "stations_per_event": [1, 2]}
NO_FAULTS = dict.fromkeys(("reversed_share", "swapped_share", "dead_share", "gap_share"), 0.0)
SOUND = {"recorder": {"faults": NO_FAULTS}}
WINDOWS = WindowConfig(window_s=20.0)


def world(seed: int = 0, **settings) -> SyntheticEarth:
    return SyntheticEarth(build_config(SynthesisConfig, SHORT | settings), seed)


def assert_alike(left: WaveformBatch, right: WaveformBatch) -> None:
    """The same to float tolerance: a count is rounded, and may fall to either side."""
    assert left.event_id == right.event_id and left.unit == right.unit and left.station_id == right.station_id
    scale = torch.nan_to_num(left.waveform).abs().amax(dim=(1, 2), keepdim=True)
    step = torch.where(torch.tensor([unit == "counts" for unit in left.unit]), 1.01, 0.0)[:, None, None]
    apart = torch.nan_to_num(left.waveform - right.waveform).abs()
    assert (apart <= 1e-3 * scale + step).all()
    torch.testing.assert_close(left.observed, right.observed)
    for name, label in left.labels.items():
        torch.testing.assert_close(label, right.labels[name], rtol=1e-4, atol=1e-3, equal_nan=True)


def test_a_record_is_the_same_in_any_batch():
    """Sixteen records at once, one by one, and in another order among others."""
    earth = world()
    whole = earth.batch(torch.arange(16))
    for number in (0, 5, 15):
        assert_alike(whole.select(torch.tensor([number])), earth.batch(torch.tensor([number])))
    mixed = earth.batch(torch.tensor([40, 7, 3, 99, 11]))
    assert_alike(whole.select(torch.tensor([7, 3, 11])), mixed.select(torch.tensor([1, 2, 4])))


def test_seeds_make_other_worlds():
    first, other = world(0).batch(torch.arange(4)), world(1).batch(torch.arange(4))
    assert not set(first.event_id) & set(other.event_id)
    assert not torch.equal(first.labels["distance_km"], other.labels["distance_km"])


def test_stations_of_an_event_share_it():
    batch = world().batch(torch.arange(40))
    kinds, magnitude = batch.labels["event_type"], batch.labels["magnitude"]
    mechanism = batch.labels["mechanism_deg"]
    for event in range(20):
        pair = slice(2 * event, 2 * event + 2)
        assert batch.event_index[pair].unique().numel() == 1 and kinds[pair].unique().numel() == 1
        torch.testing.assert_close(*magnitude[pair], equal_nan=True)
        torch.testing.assert_close(*mechanism[pair], equal_nan=True)
        assert kinds[2 * event] == EVENT_TYPES.index("noise") or (
            batch.labels["back_azimuth_deg"][pair].nan_to_num(-1.0).unique().numel() == 2
        )


def test_records_and_batches_show_the_same():
    """Waveforms, arrivals, polarity and source of `records` are those of `batch`."""
    earth = world()
    batch, records = earth.batch(torch.arange(12)), earth.records(torch.arange(12))
    for row, record in enumerate(records):
        rows = [("Z", "N", "E").index(name) for name in record.component_names]
        there = batch.waveform[row, rows, : record.waveform.shape[1]].numpy()
        np.testing.assert_array_equal(there, record.waveform)
        assert record.start_time == pytest.approx(float(batch.start_time[row]))
        assert record.unit == batch.unit[row] and record.event_id == batch.event_id[row]
        for phase in ("P", "S"):
            label_s = float(batch.labels[f"{phase.lower()}_arrival_s"][row, 0])
            assert record.arrival_s(phase) == pytest.approx(label_s, abs=1e-4, nan_ok=True)
        first = next((one for one in record.arrivals if one.phase == "P" and one.event == 0), None)
        expected = -1 if first is None else POLARITIES.index(first.polarity)
        assert int(batch.labels["polarity"][row, 0]) == expected
        if record.arrivals:
            assert record.metadata["source_magnitude"] == pytest.approx(float(batch.labels["magnitude"][row]))
            assert {"path_p_takeoff_deg", "trace_s_snr_db", "station_instrument"} <= set(record.metadata)


def test_origin_and_arrivals_agree_across_stations():
    """P of both stations of an event, in UTC, less the travel time, is one origin."""
    earth = world()
    numbers = torch.arange(30)
    batch, views = earth.batch(numbers), earth.views(numbers)
    p_time = batch.start_time + batch.labels["p_arrival_s"][:, 0].double()
    origin = (p_time - views.scene.waves.travel_time_s[:, 0]).reshape(-1, 2)
    shaken = origin[origin.isfinite().all(dim=1)]
    assert len(shaken) > 8 and (shaken >= EPOCH_2020_S).all()
    torch.testing.assert_close(shaken[:, 0], shaken[:, 1], rtol=0, atol=1e-3)


def test_snr_decides_the_size_of_events():
    """The logarithm of the ratio asked for and that of the record go together (r > 0.6, n = 64, seed 0)."""
    calm = {"second_event_share": 0.0, "min_snr_db": -60.0, "disturbances": {"share": 0.0}}
    earth = world(stations_per_event=[1, 1], snr=[0.5, 300.0], **calm)
    batch, views = earth.batch(torch.arange(64)), earth.views(torch.arange(64))
    wanted = views.event.uniform("size/snr")
    free = batch.labels["magnitude"].isfinite() & (batch.labels["magnitude"] > -0.99)
    together = torch.corrcoef(torch.stack([wanted[free], batch.labels["p_snr_db"][free]]))[0, 1]
    assert free.sum() > 40 and together > 0.6


def test_nobody_has_to_find_what_cannot_be_seen():
    labels = world(min_snr_db=3.0).batch(torch.arange(48)).labels
    known = labels["p_snr_db"].isfinite()
    assert known.sum() > 20 and (labels["p_snr_db"][known] >= 3.0 - 1e-3).all()


def test_a_reversed_vertical_reverses_the_polarity_and_swapped_horizontals_hide_the_direction():
    """Every station at fault: against the same records without faults."""
    sound = world(**SOUND).batch(torch.arange(24))
    swapped = world(recorder={"faults": NO_FAULTS | {"swapped_share": 1.0}}).batch(torch.arange(24))
    assert swapped.labels["back_azimuth_deg"].isnan().all()
    reversed_ = world(recorder={"faults": NO_FAULTS | {"reversed_share": 1.0}}).batch(torch.arange(24))
    known = (sound.labels["polarity"][:, 0] >= 0) & (sound.labels["polarity"][:, 0] < 2)
    turned = (sound.labels["polarity"] != reversed_.labels["polarity"])[known, 0]
    assert 0.1 < turned.float().mean() < 0.6  # one component of three is upside down
    rows = known.nonzero().flatten()
    upside = (sound.waveform * reversed_.waveform)[rows, 0].nan_to_num(0.0).sum(dim=1) < 0
    assert torch.equal(upside, turned)


@pytest.mark.parametrize("name", regions())
def test_every_region_makes_records_of_its_kind(name):
    config = SynthesisConfig.from_region(name, ["duration_s=[45.0, 50.0]", "pre_event_s=[8.0, 10.0]"])
    batch = SyntheticEarth(config, 0).batch(torch.arange(12))
    assert batch.component_names == (("Z", "N", "E", "H") if name == "ocean_bottom" else ("Z", "N", "E"))
    assert batch.observed[:, 0].float().mean() > 0.8 and batch.labels["p_arrival_s"].isfinite().any()
    furthest_km = 1.3 * config.geometry.distance_km[1]
    assert batch.labels["distance_km"].nan_to_num(0.0).max() <= furthest_km * 1.001


def test_a_configuration_survives_its_file(tmp_path):
    config = SynthesisConfig.from_region("volcanic", ["scattering.coda_share=0.5"])
    save_config(config, tmp_path / "mine.yaml")
    assert load_config(SynthesisConfig, tmp_path / "mine.yaml") == config
    assert SynthesisConfig.open(tmp_path / "mine.yaml") == config
    assert SynthesisConfig.open("crustal") == SynthesisConfig.from_region("crustal") == SynthesisConfig()


def test_wrong_regions_and_keys(tmp_path):
    with pytest.raises(ValueError, match=r"region must be one of .*crustal.*found 'moon'"):
        SynthesisConfig.from_region("moon")
    (tmp_path / "typo.yaml").write_text("scattering: {p_koda: [1.0, 0.4]}")
    with pytest.raises(ValueError, match=r"unknown key .*p_koda"):
        SynthesisConfig.open(tmp_path / "typo.yaml")


def endless(count: int = 20, seed: int = 3, **settings) -> SyntheticRecords:
    return SyntheticRecords(build_config(SynthesisConfig, SHORT | settings), seed, count)


def test_endless_windows_are_new_and_resumable():
    """Two epochs share no window; a batch is the same when it is asked for again, and in other batches."""
    records = endless(4)
    loader = WindowLoader(records, WINDOWS, None, 8, seed=5)
    first, second = loader.batch(0), loader.batch(1)
    assert len(records) == 8 and loader.sampler.epoch_windows == 8
    assert not set(first.event_id) & set(second.event_id)
    assert_alike(second, loader.batch(1))
    singles = WindowLoader(records, WINDOWS, None, 1, seed=5)
    assert_alike(second.select(torch.tensor([2])), singles.batch(10))


def test_endless_windows_lie_around_p():
    """With arrival_fraction 1 each P of an event is inside by the margin, all over the window."""
    windows = WindowConfig(window_s=20.0, arrival_fraction=1.0, margin_s=2.0)
    batch = WindowLoader(endless(), windows, None, 64, seed=0).batch(0)
    p_s = batch.labels["p_arrival_s"][:, 0]
    p_s = p_s[p_s.isfinite()]
    assert len(p_s) > 50 and p_s.min() >= 2.0 - 1e-4 and p_s.max() <= 18.0 + 1e-4
    assert p_s.std() == pytest.approx(16 / 12**0.5, rel=0.25)
    assert batch.waveform.shape == (64, 3, 2000) and batch.labels["p_labelled"].all()


def test_windows_elsewhere_show_codas_and_silence():
    """With arrival_fraction 0 some P came before the window: its coda is there, its size is unknown."""
    windows = WindowConfig(window_s=10.0, arrival_fraction=0.0)
    labels = WindowLoader(endless(), windows, None, 64, seed=0).batch(0).labels
    p_s, s_s = labels["p_arrival_s"][:, 0], labels["s_arrival_s"][:, 0]
    outside = ~(((p_s >= 0) & (p_s < 10)) | ((s_s >= 0) & (s_s < 10)))
    assert (p_s < 0).any() and labels["magnitude"][outside].isnan().all()
    assert (labels["event_type"][outside & p_s.isfinite()] == -1).all()


def test_endless_windows_at_another_rate_and_in_metres_per_second():
    """Resampled windows keep their labels' times: energy rises at P (median ratio above 3, n = 64)."""
    harmonized = HarmonizationConfig(unit="m/s", response="sensitivity")
    windows = WindowConfig(
        window_s=20.0, sampling_rate_hz=50.0, arrival_fraction=1.0, margin_s=4.0, harmonization=harmonized
    )
    batch = WindowLoader(endless(snr=[20.0, 60.0], **SOUND), windows, None, 64, seed=0).batch(0)
    assert batch.num_samples == 1000 and set(batch.unit) <= {"m/s", "m/s**2"}
    rises = []
    for row, p_s in enumerate(batch.labels["p_arrival_s"][:, 0].tolist()):
        if not math.isnan(p_s):
            trace = batch.waveform[row, 0].diff()
            sample = round(p_s * 50)
            rises.append(float(trace[sample : sample + 25].std() / trace[sample - 100 : sample - 3].std()))
    assert np.nanmedian(rises) > 3


def test_an_endless_source_is_split_and_mixed_with_others():
    source = SourceConfig(kind="synthetic", num_events=20, endless=True, synthesis=endless().earth.config)
    fixed = dataclasses.replace(source, endless=False, num_events=3, seed=9)
    records, skipped = load_all([source, fixed])
    sides = split_validation(records, 0.2, seed=0)
    assert not skipped and len(sides["train"]) + len(sides["validation"]) == len(records)
    batch = WindowLoader(sides["train"], WINDOWS, None, 16, seed=0).batch(0)
    assert len(batch) == 16 and batch.labels["event_type"].shape == (16,)
    (alone, _), record = load_records(source), sides["validation"][0]
    assert isinstance(alone, SyntheticRecords) and record.event_id in [*alone.event_keys(), "synthetic/9/0"]
    assert alone[3].record_id == alone[3:5][0].record_id


def test_what_an_endless_source_is_known_by_needs_no_waveform():
    records = endless(500)
    facts = record_facts(Subset(records, range(0, len(records), 2)), hashes=True)
    assert facts.event_id.tolist() == records.event_keys()[::2]
    assert len(set(facts.waveform_hash)) == len(facts) == 500
    again = record_facts(endless(500), hashes=True).waveform_hash
    assert set(facts.waveform_hash) <= set(again)
    others = [endless(500, seed=4), endless(500, pre_event_s=[8.0, 11.0])]
    for other in others:
        assert not set(record_facts(other, hashes=True).waveform_hash) & set(again)


def test_wrong_sources():
    with pytest.raises(ValueError, match="only a synthetic source can be endless"):
        SourceConfig(kind="corpus", path="x", endless=True)
    with pytest.raises(ValueError, match="num_events must be 1 or more"):
        SyntheticRecords(SynthesisConfig(), 0, 0)
