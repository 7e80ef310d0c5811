"""The transfer protocol on made-up records: sides that share nothing, thresholds from noise alone."""

import numpy as np
import obspy
import pytest
from seisfm.eval.baselines import StaLtaPicker
from seisfm.eval.picking_scores import ScoreSettings
from seisfm.eval.transfer import TransferConfig, load_transfer_data, score_transfer

P_SAMPLE, S_SAMPLE = 3000, 3400


def write_event(folder, number, rng, with_s=True, vertical=False):
    """A record in PhaseNet's layout: P in noise, S larger on the horizontals."""
    data = rng.normal(size=(9001, 3)).astype(np.float32)
    data[P_SAMPLE : P_SAMPLE + 200] *= 40
    data[S_SAMPLE : S_SAMPLE + 500] *= 120
    if vertical:
        data[:, :2] = 0
    channels = "HHZ" if vertical else "HHE_HHN_HHZ"
    picks = {"itp": P_SAMPLE} | ({"its": S_SAMPLE} if with_s else {})
    np.savez(
        folder / f"XX_ST{number:02d}_201201{number + 1:02d}00000000.npz",
        data=data,
        channels=channels,
        **picks,
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for name in ("events", "p_only", "noise"):
        (root / name).mkdir()
    for number in range(12):
        write_event(root / "events", number, rng, vertical=number % 4 == 0)
    for number in range(3):
        write_event(root / "p_only", number, rng, with_s=False)
    for number in range(24):
        trace = obspy.Trace(
            rng.normal(size=16000).astype(np.float32), {"channel": "HHZ", "sampling_rate": 100.0}
        )
        trace.stats.station = f"N{number}"
        trace.write(str(root / "noise" / f"n{number}.mseed"), format="MSEED")
    return TransferConfig(
        events=str(root / "events"),
        p_only=str(root / "p_only"),
        noise=str(root / "noise"),
        windows_per_record=2,
        false_picks_per_hour={"P": 10.0, "S": 10.0},
        scores=ScoreSettings(num_resamples=100),
    )


@pytest.fixture(scope="module")
def data(config):
    return load_transfer_data(config)


def test_sides_share_no_event_and_sum_to_all(data):
    dev, test, everything = (set(data.events[name].event) for name in ("dev", "test", "all"))
    assert not dev & test and dev | test == everything and len(everything) == 12
    assert len(data.events["three components"]) == 2 * 9 and len(data.events["one component"]) == 2 * 3
    noise = [set(data.noise[name].event) for name in ("dev", "test")]
    learned = {record.event_id for record in data.training_noise}
    assert not noise[0] & noise[1] and not learned & (noise[0] | noise[1])
    assert len(noise[0] | noise[1] | learned) == 24


def test_p_falls_anywhere_in_the_window_and_in_all_of_them(data):
    truth = data.events["all"].truth("P")
    assert truth.num_arrivals == 24
    assert truth.time_s.min() >= 1.0 and truth.time_s.max() <= 29.0 and truth.time_s.std() > 4.0


def test_scores_tell_each_set_with_its_intervals(data, config):
    scores = score_transfer(StaLtaPicker(), data, config)
    table = scores.table.set_index(["set", "phase", "tolerance_s"])
    assert set(scores.table.set) == {"dev", "test", "all", "three components", "one component", "P only"}
    assert ("P only", "S", 0.5) not in table.index
    best = table.loc[("all", "P", 0.5)]
    assert best.recall_low <= best.recall <= best.recall_high and best.arrivals == 24
    assert best.recall > 0.6 and best.mae_s < 0.1
    assert table.loc[("one component", "S", 0.5)].recall == 0
    noise = scores.noise.set_index(["set", "phase"])
    assert noise.loc["test"].threshold_source.to_dict() == {"P": "noise", "S": "default"}
    assert noise.loc[("dev", "P")].per_hour <= config.false_picks_per_hour["P"]
    assert noise.loc[("test", "P")].station_hours <= noise.loc[("test uncleared", "P")].station_hours


def test_given_thresholds_are_taken(data, config):
    noise = score_transfer(StaLtaPicker(), data, config, {"P": 0.99, "S": 0.99}).noise
    assert set(noise.threshold) == {0.99} and set(noise.threshold_source) == {"given"}
    assert noise.false_picks.sum() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dev_fraction": 1.0}, "dev_fraction must lie between 0 and 1, found 1.0"),
        ({"noise_fractions": {"dev": 1.0}}, r"noise_fractions must name .*, found \['dev'\]"),
        ({"false_picks_per_hour": {"Pn": 1.0}}, r"must name some of .*, found \['Pn'\]"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TransferConfig(**changes)


def test_absent_data_are_told(config, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \*\.npz in"):
        load_transfer_data(TransferConfig(events=str(tmp_path / "nowhere")))
