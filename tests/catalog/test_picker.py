"""The picker on recordings as they come."""

import asyncio
from copy import deepcopy

import numpy as np
import obspy
import pytest
import torch
from seisfm.catalog.pick_measures import amplitude_and_snr
from seisfm.catalog.picker import Picker, PickerConfig, fingerprint
from seisfm.data.continuous.examples import uh_archive
from seisfm.data.continuous.streams import stream_to_records
from torch import nn

TRUE_S = {"P": [30.0, 75.5], "S": [33.0, 81.25]}


def times_s(result, phase, start):
    frame = result.picks.frame
    return (frame["time"][frame["phase"] == phase].astype("int64") / 1e9 - start.timestamp).to_numpy()


def test_events_are_picked_where_they_are(picker, motion):
    stream = motion()
    result = picker.classify(stream)
    for phase, true_s in TRUE_S.items():
        found = times_s(result, phase, stream[0].stats.starttime)
        np.testing.assert_allclose(found, true_s, atol=0.15)
    frame = result.picks.frame
    assert set(frame["station_id"]) == {"XX.ST01."}
    assert set(frame["instrument"]) == {"HH"}
    assert (frame["snr_db"] > 20).all()
    assert frame["amplitude"][frame["phase"] == "P"].between(250, 450).all()
    assert frame["amplitude"][frame["phase"] == "S"].between(600, 1000).all()
    assert set(frame["model"]) == {"onset"}
    assert frame["model_revision"].str.fullmatch("[0-9a-f]{12}").all()
    assert len(result.detections) >= 2
    assert result.skipped == []


def test_annotation_has_three_curves_a_station(picker, motion):
    stream = motion() + motion(station="ST02", seed=1)
    annotated = picker.annotate(stream)
    assert sorted(t.id for t in annotated) == [f"XX.ST0{i}..seisfm_{c}" for i in (1, 2) for c in "DPS"]
    for trace in annotated:
        assert trace.stats.npts == stream[0].stats.npts
        assert trace.stats.starttime == stream[0].stats.starttime
        assert trace.data.dtype == np.float32
        assert trace.data.min() >= 0
        assert trace.data.max() <= 1


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("shift", [1, 7, 333, 2048])
def test_picks_move_with_the_data_sample_by_sample(onset_model, motion, shift, refine):
    """The same motion, `shift` samples later in a longer record."""
    picker = Picker(onset_model, PickerConfig(refine=refine, refine_shifts=2))
    stream = motion()
    rng = np.random.default_rng(5)
    for trace in stream:
        front = np.round(rng.normal(0, 5.0, shift)).astype(np.int32)
        trace.data = np.concatenate([front, trace.data])
        trace.stats.starttime -= shift * trace.stats.delta
    before, after = picker.classify(motion()), picker.classify(stream)
    tolerance = 1e-4 if refine else 0.1
    for phase in "PS":
        start = motion()[0].stats.starttime
        np.testing.assert_allclose(
            times_s(after, phase, start), times_s(before, phase, start), atol=tolerance
        )


@pytest.mark.parametrize("rate_hz", [50.0, 100.0, 200.0])
def test_picks_do_not_depend_on_where_the_stream_begins(picker, motion, rate_hz):
    stream = motion(rate_hz=rate_hz)
    reference = None
    for offset_s in np.linspace(0, 19.37, 8):
        cut = stream.copy().trim(stream[0].stats.starttime + offset_s)
        result = picker.classify(cut)
        found = {phase: times_s(result, phase, stream[0].stats.starttime) for phase in "PS"}
        reference = reference or found
        for phase in "PS":
            np.testing.assert_allclose(found[phase], reference[phase], atol=0.02)


def test_a_record_shifted_in_time_gives_the_same_picks_later(picker, motion):
    later = motion()
    for trace in later:
        trace.stats.starttime += 86400.25
    first, second = picker.classify(motion()).picks.frame, picker.classify(later).picks.frame
    assert ((second["time"] - first["time"]).dt.total_seconds() - 86400.25).abs().max() < 1e-6
    assert first["probability"].tolist() == second["probability"].tolist()


def test_resampled_records_give_the_same_picks(picker, motion):
    start = motion()[0].stats.starttime
    at_100 = picker.classify(motion())
    upsampled = motion()
    upsampled.resample(200.0)
    at_200 = picker.classify(upsampled)
    for phase in "PS":
        np.testing.assert_allclose(times_s(at_200, phase, start), times_s(at_100, phase, start), atol=0.01)


@pytest.mark.parametrize("codes", [("HHZ",), ("HHZ", "HH1", "HH2"), ("EHZ", "EHN"), ("HHN", "HHE")])
def test_one_component_and_unoriented_horizontals_work(picker, motion, codes):
    result = picker.classify(motion(codes=codes))
    assert len(result.picks) >= 2
    assert result.skipped == []


@pytest.mark.parametrize("duration_s", [3.0, 8.0, 12.0, 20.0, 30.0])
def test_short_streams_work(picker, motion, duration_s):
    stream = motion(duration_s=duration_s, arrivals=((duration_s * 0.5, duration_s * 0.7),))
    result = picker.classify(stream)
    np.testing.assert_allclose(times_s(result, "P", stream[0].stats.starttime), duration_s * 0.5, atol=0.15)
    assert {trace.stats.npts for trace in picker.annotate(stream)} == {stream[0].stats.npts}


def test_gaps_split_annotations_and_hold_no_picks(picker, motion):
    stream = motion()
    start = stream[0].stats.starttime
    kept = stream.copy().trim(endtime=start + 50) + stream.copy().trim(starttime=start + 58)
    annotated = picker.annotate(kept)
    assert len(annotated) == 6
    assert not any(np.ma.is_masked(trace.data) for trace in annotated)
    found = picker.classify(kept)
    np.testing.assert_allclose(times_s(found, "P", start), TRUE_S["P"], atol=0.15)


def test_a_long_gap_makes_two_records(onset_model, motion):
    picker = Picker(onset_model, PickerConfig(max_gap_s=5.0))
    stream = motion()
    start = stream[0].stats.starttime
    kept = stream.copy().trim(endtime=start + 50) + stream.copy().trim(starttime=start + 58)
    np.testing.assert_allclose(times_s(picker.classify(kept), "P", start), TRUE_S["P"], atol=0.15)


@pytest.mark.parametrize(("rate_hz", "used"), [(20.0, True), (500.0, True), (10.0, False), (1000.0, False)])
def test_rates_outside_of_the_contract_are_skipped_with_the_reason(picker, motion, rate_hz, used):
    result = picker.classify(motion(rate_hz=rate_hz, duration_s=40.0, arrivals=((20.0, 22.0),)))
    if used:
        assert result.skipped == []
    else:
        assert len(result.picks) == 0
        assert f"sampled at {rate_hz:g} Hz: the model takes 20 to 500 Hz" in result.skipped[0].reason


def test_several_stations_and_instruments(picker, motion):
    stream = motion() + motion(codes=("HNZ", "HNN", "HNE"), seed=2) + motion(station="ST02", seed=3)
    frame = picker.classify(stream).picks.frame
    assert set(zip(frame["station_id"], frame["instrument"], strict=True)) == {
        ("XX.ST01.", "HH"),
        ("XX.ST01.", "HN"),
        ("XX.ST02.", "HH"),
    }


def test_a_stations_picks_do_not_depend_on_the_others(picker, motion):
    alone = picker.classify(motion()).picks.frame
    together = picker.classify(motion(station="ST00", seed=4) + motion()).picks.frame
    mine = together[together["station_id"] == "XX.ST01."].reset_index(drop=True)
    assert alone["time"].tolist() == mine["time"].tolist()


def test_unusable_and_empty_streams_are_no_error(picker, motion):
    dead = motion()
    for trace in dead:
        trace.data[:] = 0
    result = picker.classify(dead)
    assert len(result.picks) == 0
    assert result.skipped
    assert len(picker.classify(obspy.Stream()).picks) == 0
    assert len(picker.annotate(obspy.Stream())) == 0
    assert (
        picker.classify(dead).detections.columns.tolist()
        == picker.classify(motion()).detections.columns.tolist()
    )


def test_it_works_inside_a_running_event_loop(picker, motion):
    async def pick():
        return picker.classify(motion(duration_s=40.0))

    assert len(asyncio.run(pick()).picks) >= 2


def test_the_models_mode_is_left_as_it_was(picker, motion):
    picker.model.train()
    picker.classify(motion(duration_s=20.0))
    assert picker.model.training
    picker.model.eval()


def test_obspys_own_example_is_picked(picker):
    assert len(picker.classify(uh_archive()).picks) > 4
    result = picker.classify(obspy.read())
    assert set(result.picks.frame["phase"]) >= {"P"}


def test_the_window_must_fit_the_contract(onset_model):
    with pytest.raises(ValueError, match="window_s must be 10 to 60 s for this model, found 5 s"):
        Picker(onset_model, PickerConfig(window_s=5.0))


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(ValueError, match="task model around a backbone, found Linear"):
        Picker(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"p_threshold": 0.0}, "p_threshold must be above 0"),
        ({"candidate_fraction": 2.0}, "candidate_fraction must be above 0 and at most 1"),
        ({"overlap": 1.0}, "overlap must be from 0 to below 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PickerConfig(**settings)


def test_the_fingerprint_is_the_weights(onset_model):
    changed = deepcopy(onset_model)
    assert fingerprint(changed) == fingerprint(onset_model)
    with torch.no_grad():
        next(changed.parameters()).add_(1e-3)
    assert fingerprint(changed) != fingerprint(onset_model)


def test_amplitude_is_about_the_mean_and_on_the_right_components(motion):
    stream = motion(codes=("HHZ", "HHN"))
    for trace in stream:
        trace.data = trace.data + 5000
    (record,), _ = stream_to_records(stream)
    p_amplitude, p_snr = amplitude_and_snr(record, "P", 30.0)
    s_amplitude, _ = amplitude_and_snr(record, "S", 33.0)
    assert 250 < p_amplitude < 450
    assert 600 < s_amplitude < 1000
    assert p_snr > 20
    (vertical,), _ = stream_to_records(motion(codes=("HHZ",)))
    assert np.isnan(amplitude_and_snr(vertical, "S", 33.0)[0])
    assert np.isnan(amplitude_and_snr(vertical, "P", 0.0)[1])
