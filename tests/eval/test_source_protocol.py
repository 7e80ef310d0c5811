import dataclasses

import numpy as np
import pytest
from seisfm.data.event_types import EVENT_TYPES
from seisfm.data.instruments.harmonization import HarmonizationConfig
from seisfm.data.records import POLARITIES, Arrival, Record
from seisfm.eval.references.first_motion import FirstMotion
from seisfm.eval.references.sp_distance import SpDistance
from seisfm.eval.source_predictors import ModelPredictor, SourceDummy, von_mises_std_deg
from seisfm.eval.source_protocol import SourceScoreConfig, predict_windows, score_sources
from seisfm.eval.source_windows import SourceWindowsConfig, source_windows

RATE_HZ = 100.0
QUICK = SourceScoreConfig(jitters_s=(0.0, 0.5), num_resamples=50)


def record(number, components=("Z", "N", "E"), **metadata):
    """An event whose S − P is that of its distance, with an upward first motion in every second."""
    rng = np.random.default_rng(number)
    distance_km = 10.0 + 5.0 * number
    p_s, sign = 20.0, 1.0 if number % 2 else -1.0
    after_s = np.maximum(np.arange(8000) / RATE_HZ - p_s, 0.0)
    waveform = 0.02 * rng.normal(size=(3, 8000)) + sign * np.sin(12 * after_s) * np.exp(-after_s)
    waveform = 1000.0 * waveform[: len(components)]
    about = {
        "source_magnitude": 1.0 + 0.2 * number,
        "path_ep_distance_km": distance_km,
        "path_back_azimuth_deg": 30.0 * number % 360.0,
        "source_depth_km": 8.0,
        "source_type": "earthquake",
    }
    polarity = "positive" if sign > 0 else "negative"
    return Record(
        record_id=f"r{number}",
        waveform=waveform.astype(np.float32),
        component_names=components,
        sampling_rate_hz=RATE_HZ,
        station_id="XX.A.",
        event_id=f"e{number // 2}",
        unit="counts",
        arrivals=(
            Arrival(phase="P", time_s=p_s, polarity=polarity),
            Arrival(phase="S", time_s=p_s + distance_km / 8.0),
        ),
        labelled_phases=frozenset("PS"),
        metadata=about | metadata,
    )


RECORDS = [record(i) for i in range(12)]
CUT = SourceWindowsConfig(window_s=40.0, p_position_s=(5.0, 15.0), batch_size=5)


def test_windows_are_the_same_in_any_company_and_p_is_anywhere():
    whole, part = source_windows(RECORDS, CUT), source_windows(RECORDS[7:], CUT)
    p_s = np.concatenate([batch.labels["p_arrival_s"][:, 0].numpy() for batch in whole.batches])
    alone_s = np.concatenate([batch.labels["p_arrival_s"][:, 0].numpy() for batch in part.batches])
    assert (p_s[7:] == alone_s).all()
    assert p_s.min() >= 4.99 and p_s.max() <= 15.01 and np.ptp(p_s) > 5.0
    assert abs(np.corrcoef(p_s, whole.truth("magnitude"))[0, 1]) < 0.75
    again = source_windows(RECORDS, dataclasses.replace(CUT, windows_per_record=2))
    assert len(again) == 24 and again.event[:4].tolist() == ["e0"] * 4


def test_what_cannot_be_cut_or_judged_is_told():
    unoriented = record(20, components=("Z", "1", "2"))
    hydrophone = dataclasses.replace(
        record(21), component_names=("H",), waveform=record(21).waveform[:1], record_id="wet"
    )
    windows = source_windows([RECORDS[0], unoriented, hydrophone], CUT)
    assert np.isfinite(windows.truth("back_azimuth_deg")).tolist() == [True, False]
    assert np.isfinite(windows.truth("magnitude")).all()
    told = {item.item: item.reason for item in windows.skipped}
    assert "none of the components" in told["wet"] and "azimuth" in told["XX.A. (back azimuth)"]
    with pytest.raises(ValueError, match="no record has one of the components"):
        source_windows([hydrophone], CUT)


def test_a_dummy_says_the_mean_and_scores_as_one():
    windows = source_windows(RECORDS, CUT)
    rows = score_sources([], windows, SourceDummy.fit(windows), QUICK)
    by_label = {(row.label, row.jitter_s): row for row in rows}
    assert by_label["magnitude", 0.0].scores["r2"].value == pytest.approx(0.0, abs=1e-9)
    assert by_label["magnitude", 0.0].scores["bias"].value == pytest.approx(0.0, abs=1e-6)
    assert by_label["polarity", 0.0].scores["balanced_accuracy"].value == 0.5
    assert by_label["event_type", 0.0].recall == {"earthquake": 1.0}
    assert all(row.answered == row.labelled == 12 for row in rows)


def test_a_reference_beats_the_dummy_and_jitter_hurts_polarity():
    windows = source_windows(RECORDS, CUT)
    rows = score_sources([SpDistance(), FirstMotion()], windows, SourceDummy.fit(windows), QUICK)
    by_name = {(row.predictor, row.label, row.jitter_s): row for row in rows}
    distance = by_name["S − P", "distance_km", 0.0]
    assert distance.scores["mae"].value < 0.4 * distance.dummy["mae"].value
    assert distance.coverage[0.95] >= distance.coverage[0.5]
    exact, late = (by_name["first motion", "polarity", jitter_s] for jitter_s in (0.0, 0.5))
    assert exact.scores["accuracy"].value == 1.0
    assert late.answered < 12 or late.scores["accuracy"].value < 1.0


def test_unanswered_windows_are_counted_with_reasons_and_the_dummy_is_compared_where_answered():
    gappy = [dataclasses.replace(one, arrivals=one.arrivals[:1]) for one in RECORDS[:4]]
    windows = source_windows([*gappy, *RECORDS[4:]], CUT)
    (row,) = (
        row
        for row in score_sources([SpDistance()], windows, SourceDummy.fit(windows), QUICK)
        if row.predictor == "S − P"
    )
    assert (row.labelled, row.answered) == (12, 8)
    assert row.reasons == {"no pair of P and S picks": 4}
    assert row.dummy["mae"].n == row.scores["mae"].n == 8


class Short:
    name = "short"
    harmonization = HarmonizationConfig()

    def predict(self, batch):
        return {"magnitude": np.zeros(1)}


def test_an_answer_must_be_one_a_window():
    with pytest.raises(ValueError, match="short must answer for each of 5 windows"):
        predict_windows(Short(), source_windows(RECORDS, CUT))


@pytest.mark.parametrize(
    "heads", [("magnitude", "distance", "back_azimuth", "depth"), ("event_type", "polarity")]
)
def test_a_model_is_scored_as_a_reference_is(new_model, heads):
    windows = source_windows(RECORDS[:4], CUT)
    answers = predict_windows(ModelPredictor(new_model(**{name: {} for name in heads})), windows)
    if "polarity" in heads:
        assert answers["polarity_probability"].shape == (4, len(POLARITIES))
        assert answers["event_type_probability"].sum(axis=1) == pytest.approx(np.ones(4))
        assert answers["event_type_probability"].shape == (4, len(EVENT_TYPES))
    else:
        assert {"magnitude_std", "distance_log_std", "back_azimuth_std_deg", "depth_std_km"} <= set(answers)
        assert all(len(value) == 4 and np.isfinite(value).all() for value in answers.values())


def test_a_model_without_such_heads_is_refused(new_model):
    with pytest.raises(ValueError, match="none of the model's heads"):
        predict_windows(ModelPredictor(new_model(detection={})), source_windows(RECORDS[:2], CUT))


def test_the_circular_standard_deviation_of_sharp_and_flat_directions():
    # 1/√κ for sharp ones; without any preference it has no bound.
    assert von_mises_std_deg(np.array([400.0]))[0] == pytest.approx(np.degrees(1 / 20.0), rel=0.01)
    assert von_mises_std_deg(np.array([1e-6]))[0] > 200.0


@pytest.mark.parametrize("settings", [{"p_position_s": (50.0, 70.0)}, {"windows_per_record": 0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        SourceWindowsConfig(**settings)
