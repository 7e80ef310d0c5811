import numpy as np
import pytest
import torch
from seisfm.data.records import Arrival, Record
from seisfm.eval.detection_scores import (
    detection_scores,
    find_detections,
    join_detections,
    labelled_intervals,
)
from seisfm.eval.picking_protocol import PickingProtocolConfig, evaluate_picking
from torch import nn

RATE_HZ = 100.0
FAST = PickingProtocolConfig(num_resamples=50)


def no_interval(values, event, statistic):
    return (np.full(3, np.nan),) * 2


def record(i, p_s=40.0, s_s=45.0, phases="PS", gap=None):
    """A record whose vertical is 1 from P to the event's end, and 0 elsewhere but in `gap`."""
    time_s = np.arange(9000) / RATE_HZ
    shaken = (time_s >= p_s) & (time_s <= s_s + 1.4 * (s_s - p_s))
    waveform = np.stack([shaken, 0 * shaken, 0 * shaken]).astype(np.float32)
    waveform += np.random.default_rng(i).uniform(0, 1e-3, waveform.shape).astype(np.float32)
    if gap:
        waveform[:, slice(*gap)] = np.nan
    return Record(
        record_id=f"r{i}",
        waveform=waveform,
        component_names=("Z", "N", "E"),
        sampling_rate_hz=RATE_HZ,
        event_id=f"e{i}",
        station_id="XX.S.",
        arrivals=(Arrival(phase="P", time_s=p_s), Arrival(phase="S", time_s=s_s)),
        labelled_phases=frozenset(phases),
    )


class Detector(nn.Module):
    """Takes the vertical for the probability of an event, and raises an alarm each `alarm_every` samples."""

    def __init__(self, alarm_every=0):
        super().__init__()
        self.weight, self.alarm_every = nn.Parameter(torch.ones(())), alarm_every

    def forward(self, batch):
        probability = batch.waveform[:, 0].nan_to_num(nan=0.0).clamp(0, 1) * self.weight
        if self.alarm_every:
            for first in range(0, batch.num_samples, self.alarm_every):
                probability[:, first : first + 100] = 0.8
        picking = torch.zeros(len(batch), 3, batch.num_samples)
        return {"picking": {"probability": picking}, "detection": {"probability": probability}}


RECORDS = [record(i) for i in range(12)]


def detection(model, records=RECORDS):
    return evaluate_picking(model, records, FAST).detection["model"]


def test_a_detector_that_reads_the_truth_scores_one():
    scores = detection(Detector())
    assert [scores[name] for name in ("precision", "recall", "f1", "f1_low", "f1_high")] == [1.0] * 5
    # One window in five lies anywhere in its record, and need not hold the event.
    assert scores["true_positives"] >= 10 and scores["misses"] == scores["false_alarms"] == 0
    assert (scores["auc"], scores["false_alarms_per_hour"]) == (1.0, 0.0)


def test_alarms_in_noise_cost_precision_and_are_told_by_the_hour():
    scores = detection(Detector(alarm_every=1000))
    # Three of one second in each noise window of 30 s.
    assert scores["false_alarms"] == 36 and scores["num_noise_windows"] == 12
    assert scores["noise_station_hours"] == pytest.approx(12 * 30 / 3600)
    assert scores["false_alarms_per_hour"] == pytest.approx(360.0)
    assert scores["recall"] == 1.0 and scores["precision"] < 0.3


def test_a_silent_detector_misses_all():
    silent = Detector()
    silent.weight.data.zero_()
    scores = detection(silent)
    assert (scores["recall"], scores["misses"], scores["false_positives"]) == (
        0.0,
        detection(Detector())["true_positives"],
        0,
    )
    assert np.isnan(scores["precision"])


def test_windows_whose_labels_do_not_tell_the_event_are_not_judged():
    scores = detection(Detector(), [record(i, phases="P") for i in range(4)])
    assert scores["num_judged_windows"] == 0
    assert [scores[name] for name in ("true_positives", "false_positives", "misses")] == [0, 0, 0]
    assert np.isnan(scores["f1"])


def test_the_labelled_event_lasts_from_p_to_its_coda_but_for_gaps():
    (batch,) = FAST.cut([record(0)]).batches[:1]
    p_s = float(batch.labels["p_arrival_s"][0, 0])
    (found,) = labelled_intervals(batch)[0]
    assert found == pytest.approx([max(p_s, 0.0), min(p_s + 12.0, 30.0)], abs=0.011)
    whole, parted = (FAST.cut([record(0, gap=gap)]) for gap in (None, (4100, 4200)))
    extents = [np.ptp(labelled_intervals(cut.batches[0])[0], axis=1).sum() for cut in (whole, parted)]
    assert extents[0] - extents[1] == pytest.approx(1.0, abs=0.02)
    assert detection(Detector(), [record(0, gap=(4100, 4200))])["f1"] == 1.0


def test_detections_do_not_depend_on_how_windows_are_batched():
    windows = FAST.cut(RECORDS[:3])
    curves = torch.rand(len(windows), 3000, generator=torch.Generator().manual_seed(0))
    whole = find_detections(curves, RATE_HZ, 0.9)
    parts = join_detections(
        [find_detections(curves[i : i + 2], RATE_HZ, 0.9) for i in range(0, len(windows), 2)]
    )
    first, second = (detection_scores(found, windows, no_interval) for found in (whole, parts))
    np.testing.assert_equal(first, second)


def test_a_threshold_is_a_probability():
    with pytest.raises(ValueError, match="detection_threshold must be above 0"):
        PickingProtocolConfig(detection_threshold=0.0)
