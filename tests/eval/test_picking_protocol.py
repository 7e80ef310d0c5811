import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from seisfm.configs.loader import load_config
from seisfm.data.batch import WaveformBatch
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.records import Arrival, Record
from seisfm.data.splitting.splits import split_by_event
from seisfm.eval.model_picker import ModelPicker, run_picker
from seisfm.eval.picking_protocol import PickingProtocolConfig, evaluate_picking
from seisfm.eval.score_figures import threshold_figure
from seisfm.eval.thresholds import threshold_curve
from seisfm.foundation.backbones.seismic import SeismicConfig
from seisfm.foundation.contract import InputContract
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel
from torch import nn

RATE_HZ = 100.0
FAST = PickingProtocolConfig(num_resamples=50)
NCEDC = Path(os.environ.get("SEISFM_DATA", "../shared/data")) / "ncedc_phasenet"


def bump(count, time_s, height=0.9):
    return height * np.exp(-0.5 * ((np.arange(count) / RATE_HZ - time_s) / 0.1) ** 2)


def record(i, p_s=40.0, s_s=45.0, phases=("P", "S"), bumps=True, **changes):
    """A record whose vertical shows where P is and whose north component shows where S is."""
    count = 9000
    waveform = np.random.default_rng(i).uniform(0, 0.01, size=(3, count))
    if bumps:
        waveform[0] += bump(count, p_s)
        waveform[1] += bump(count, s_s)
    arrivals = (Arrival(phase="P", time_s=p_s), Arrival(phase="S", time_s=s_s))
    settings = {
        "record_id": f"r{i}",
        "waveform": waveform.astype(np.float32),
        "component_names": ("Z", "N", "E"),
        "sampling_rate_hz": RATE_HZ,
        "event_id": f"e{i // 2}",
        "station_id": f"XX.S{i % 5}.",
        "arrivals": tuple(a for a in arrivals if a.phase in phases),
        "labelled_phases": frozenset(phases),
    }
    return Record(**(settings | changes))


class Reader(nn.Module):
    """Reads the probabilities off the components of `record`, and refuses labels."""

    def __init__(self, false_every: int = 0, detection: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.false_every, self.detection = false_every, detection

    def forward(self, batch: WaveformBatch):
        assert not batch.labels and batch.event_id is None
        assert not self.training
        phases = batch.waveform[:, :2].nan_to_num(nan=0.0).clamp(0, 1) * self.weight
        if self.false_every:
            phases[:, :, 500 :: self.false_every] = 0.7
        noise = (1 - phases.sum(dim=1, keepdim=True)).clamp(0, 1)
        output = {"picking": {"probability": torch.cat([phases, noise], dim=1)}}
        return output | ({"detection": {"probability": phases[:, 0]}} if self.detection else {})


class Fixed(nn.Module):
    """Always says that P is at one place."""

    def __init__(self, time_s):
        super().__init__()
        self.weight, self.time_s = nn.Parameter(torch.ones(())), time_s

    def forward(self, batch: WaveformBatch):
        probability = torch.zeros(len(batch), 3, batch.num_samples)
        probability[:, 0] = torch.from_numpy(bump(batch.num_samples, self.time_s)).float()
        return {"picking": {"probability": probability}}


def column(scores, name, picker="model", phase="P", tolerance_s=0.5):
    return scores.score(picker, phase, tolerance_s)[name]


RECORDS = [record(i) for i in range(24)]


def test_a_perfect_reader_scores_one_and_the_baselines_do_not():
    model = Reader().train()
    scores = evaluate_picking(model, RECORDS, FAST)
    for phase in "PS":
        assert column(scores, "f1", phase=phase, tolerance_s=0.1) == 1.0
        assert column(scores, "f1_low", phase=phase) == column(scores, "f1_high", phase=phase) == 1.0
        assert column(scores, "f1", "positional dummy", phase) < 0.2
    assert model.training
    assert scores.detection["model"]["auc"] == 1.0
    assert set(scores.table.picker) == {"model", "STA/LTA + AIC", "positional dummy"}
    assert set(scores.table.tolerance_s) == {0.1, 0.2, 0.5}
    assert (scores.num_events, scores.num_stations) == (12, 5)
    assert (scores.num_windows, scores.num_noise_windows) == (48, 24)


def test_false_picks_in_noise_cost_precision():
    scores = evaluate_picking(Reader(false_every=1000), RECORDS, FAST)
    assert column(scores, "recall") == 1.0
    # Three false picks in each of two windows a record, less the few that hide beside the real one.
    assert column(scores, "precision") == pytest.approx(1 / 7, abs=0.02)
    noise = scores.false_picks.set_index(["picker", "phase"]).loc[("model", "P")]
    assert noise["false_picks_per_station_hour"] == pytest.approx(3 / 30 * 3600, rel=0.02)


def test_a_model_that_knows_only_the_mean_position_scores_as_the_dummy():
    config = dataclasses.replace(FAST, windows_per_record=4)
    windows = config.cut(RECORDS)
    truth = windows.truth("P")
    scores = evaluate_picking(Fixed(truth.time_s[truth.scored].mean()), RECORDS, config)
    for name in ("true_positives", "false_positives", "misses"):
        assert column(scores, name) == column(scores, name, "positional dummy")
    assert "in its favour" in scores.notes[0]


def test_an_arrival_always_at_the_same_place_of_the_record_is_not_at_one_place_of_the_window():
    truth = dataclasses.replace(FAST, windows_per_record=4).cut(RECORDS).truth("P")
    inside = truth.time_s[truth.scored]
    assert inside.std() > 6.0 and len(np.unique(inside.round(1))) > 40


def test_a_phase_that_is_not_labelled_counts_for_nobody():
    records = [record(i, phases=("P",)) for i in range(8)]
    scores = evaluate_picking(Reader(false_every=1000), records, FAST)
    assert column(scores, "num_windows", phase="S") == 0
    assert [column(scores, name, phase="S") for name in ("true_positives", "false_positives", "misses")] == [
        0
    ] * 3
    assert np.isnan(column(scores, "f1", phase="S"))


def test_a_blind_model_misses_everything_and_has_no_errors_of_zero():
    scores = evaluate_picking(Reader(), [record(i, bumps=False) for i in range(8)], FAST)
    assert column(scores, "recall") == 0.0 and column(scores, "f1") == 0.0
    rows = scores.residuals[(scores.residuals.picker == "model") & (scores.residuals.phase == "P")]
    assert (rows.found == 0).all() and (rows.missed == rows.arrivals).all() and rows.mae_s.isna().all()


def test_thresholds_come_from_validation_records_alone():
    validation = [record(100 + i) for i in range(10)]
    quiet = [record(i, bumps=False) for i in range(10)]
    config = dataclasses.replace(FAST, thresholds={"P": 0.95, "S": 0.95})
    given = evaluate_picking(Reader(false_every=1000), RECORDS, config)
    chosen = evaluate_picking(Reader(false_every=1000), RECORDS, config, validation_records=validation)
    other = evaluate_picking(Reader(false_every=1000), quiet, config, validation_records=validation)
    assert column(given, "recall") == 0.0 and column(given, "threshold_source") == "given"
    assert 0.7 < column(chosen, "threshold") < 0.91 and column(chosen, "precision") == 1.0
    assert column(chosen, "threshold_source") == "validation"
    # The scored records have no say in the threshold.
    assert column(other, "threshold") == column(chosen, "threshold")


def test_the_curve_over_thresholds_is_what_its_figure_draws():
    windows = FAST.cut(RECORDS[:8])
    picks, _ = run_picker(ModelPicker(Reader(false_every=1000), FAST.thresholds, 0.5), windows)
    curve = threshold_curve(picks, windows, "P", 0.5)
    assert (curve["recall"].diff().dropna() <= 0).all()
    assert curve["precision"].iloc[-5] == 1.0 and curve["precision"].iloc[0] < 0.2
    assert threshold_figure(curve, chosen=0.8).get_axes()


def test_a_phase_without_validation_labels_keeps_its_threshold_and_says_so():
    validation = [record(100 + i, phases=("P",)) for i in range(4)]
    scores = evaluate_picking(Reader(), RECORDS[:4], FAST, validation_records=validation)
    assert column(scores, "threshold_source", phase="S") == "given (validation has no labelled S)"
    assert column(scores, "threshold", phase="S") == 0.3


def test_scores_do_not_depend_on_batch_size_order_or_company():
    picks = [
        evaluate_picking(Reader(false_every=700), records, dataclasses.replace(FAST, batch_size=size)).table
        for records, size in ((RECORDS[:9], 4), (RECORDS[8::-1], 100))
    ]
    pd.testing.assert_frame_equal(picks[0], picks[1])


def test_noise_records_and_leaks_are_reported():
    noise = [record(200 + i, phases=(), bumps=False, labelled_phases=frozenset("PS")) for i in range(3)]
    train = [record(5), record(300)]
    scores = evaluate_picking(Reader(), RECORDS, FAST, noise_records=noise, train_records=train)
    assert scores.num_noise_windows == 27 and not scores.skipped
    assert scores.leakage.shared_record_ids == ("r5",) and scores.leakage.shared_event_ids == ("e2",)
    assert scores.notes == ()


def test_what_gives_no_window_is_listed_with_its_reason():
    records = [
        *RECORDS[:4],
        record(50, component_names=("Z", "N", "H"), waveform=RECORDS[0].waveform),
        record(51, phases=()),
        record(52, waveform=np.zeros((1, 9000), np.float32), component_names=("H",)),
        record(53, p_s=5.0, s_s=9.0),
    ]
    reasons = {item.item: item.reason for item in FAST.cut(records).skipped}
    assert "neither P nor S" in reasons["r51"]
    assert "none of the components" in reasons["r52"]
    assert "half a window" in reasons["r53 (noise)"]
    assert set(reasons) == {"r51", "r52", "r53 (noise)"}


def test_a_record_of_noise_among_the_scored_ones_is_noise_and_nothing_of_it_is_skipped():
    quiet = record(60, phases=(), bumps=False, labelled_phases=frozenset("PS"))
    windows = FAST.cut([*RECORDS[:2], quiet])
    assert windows.is_noise.sum() == 3 and windows.skipped == ()


def test_noise_records_that_no_window_is_wanted_of_are_told():
    windows = dataclasses.replace(FAST, noise_windows=0).cut(RECORDS[:2], RECORDS[2:4])
    assert len(windows) == 2
    assert [item.reason for item in windows.skipped] == ["noise_windows is 0: no window of them is scored"]


def test_arrivals_in_a_gap_are_no_misses():
    waveform = RECORDS[0].waveform.copy()
    waveform[:, 3900:4100] = np.nan
    scores = evaluate_picking(Reader(), [dataclasses.replace(RECORDS[0], waveform=waveform)], FAST)
    assert column(scores, "misses") == 0 and column(scores, "true_positives") == 0


def test_scores_are_written_as_json_and_csv(tmp_path):
    scores = evaluate_picking(Reader(), RECORDS[:6], FAST)
    scores.write(tmp_path / "scores")
    written = json.loads((tmp_path / "scores" / "scores.json").read_text(), parse_constant=pytest.fail)
    assert len(written["table"]) == 18 and written["settings"]["seed"] == 42
    assert written["leakage"]["summary"].startswith("Leakage unknown")
    assert sorted(p.name for p in (tmp_path / "scores").iterdir()) == [
        "arrivals.csv", "false_picks.csv", "picking.csv", "residuals.csv", "scores.json",
    ]  # fmt: skip
    arrivals = pd.read_csv(tmp_path / "scores" / "arrivals.csv")
    assert len(arrivals[(arrivals.picker == "model") & (arrivals.phase == "P")]) == 6


def test_what_the_protocol_refuses():
    with pytest.raises(ValueError, match="share 1 events"):
        evaluate_picking(Reader(), RECORDS[:2], FAST, validation_records=RECORDS[1:2])
    with pytest.raises(ValueError, match="none for picking"):
        evaluate_picking(NoPicking(), RECORDS[:2], FAST)
    with pytest.raises(ValueError, match="within search_s"):
        PickingProtocolConfig(tolerances_s=(0.1, 6.0))
    with pytest.raises(ValueError, match="thresholds must name"):
        PickingProtocolConfig(thresholds={"P": 0.3})
    with pytest.raises(ValueError, match="no window to score"):
        evaluate_picking(Reader(), [record(1, phases=())], FAST)
    with pytest.raises(KeyError, match="there are"):
        evaluate_picking(Reader(), RECORDS[:2], FAST).score("nobody")


class NoPicking(Reader):
    def forward(self, batch: WaveformBatch):
        return {"detection": super().forward(batch)["detection"]}


def test_the_shipped_configuration_is_the_default():
    assert load_config(PickingProtocolConfig, "eval/picking.yaml") == PickingProtocolConfig()


@pytest.mark.skipif(not NCEDC.is_dir(), reason=f"no real records at {NCEDC}; set SEISFM_DATA")
def test_real_records_with_a_real_untrained_model():
    records, _ = read_phasenet_npz(NCEDC)
    split = split_by_event(records, {"train": 0.4, "validation": 0.3, "test": 0.3}, seed=0)
    encoder = SeismicConfig.of_size(
        "tiny",
        InputContract(),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        stem_channels=[4, 8, 16],
    )
    torch.manual_seed(0)
    model = SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads={"picking": {}, "detection": {}}))
    scores = evaluate_picking(
        model, split["test"], FAST, validation_records=split["validation"], train_records=split["train"]
    )
    assert column(scores, "f1") < 0.3 and column(scores, "f1", "positional dummy") < 0.15
    assert column(scores, "f1", "STA/LTA + AIC") > 0.6
    assert not scores.leakage.leaks and 0.0 <= scores.detection["model"]["auc"] <= 1.0
