import importlib.util
from pathlib import Path

import pytest
import torch
from seisfm.data.loading.mixing import ColouredNoise, RealNoise
from seisfm.data.loading.stacking import Stacking
from seisfm.data.loading.window_labels import EVENT_LABELS
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.records import Arrival

_spec = importlib.util.spec_from_file_location(
    "augmentation_windows", Path(__file__).with_name("augmentation_windows.py")
)
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

RATE_HZ = cases.RATE_HZ
make_random = cases.make_random
make_record = cases.make_record
make_batch = cases.make_batch
TRAINING = cases.TRAINING
NOISE = cases.NOISE
only = cases.only
augmented = cases.augmented
assert_same = cases.assert_same
padded = cases.padded


def snr_db(batch, noisy):
    """Of each window: its power around P about its mean to the added power, on components that got noise."""
    added = noisy.waveform - batch.waveform
    deviation = batch.waveform - batch.waveform.nanmean(-1, keepdim=True)
    values = []
    for window in range(len(batch)):
        p = round(float(batch.labels["p_arrival_s"][window, 0]) * RATE_HZ)
        signal = deviation[window, :, p - 50 : p + 450]
        got = torch.nan_to_num(added[window]).abs().amax(dim=-1) > 0
        power = signal[batch.observed[window, :, 0]].square().mean()
        values.append(10 * torch.log10(power / added[window, got].square().mean()))
    return torch.stack(values)


@pytest.mark.parametrize("exponent", [0.0, 2.0])
def test_coloured_noise_comes_at_its_ratio_and_colour(exponent):
    batch = make_batch(16)
    noise = ColouredNoise(probability=1.0, snr_db=(7.0, 7.0), exponent=(exponent, exponent))
    noisy = noise(batch, make_random(len(batch)))
    three = batch.observed[:, :, 0].all(dim=-1)
    assert (snr_db(batch, noisy)[three] - 7.0).abs().max() < 0.05
    power = torch.fft.rfft((noisy.waveform - batch.waveform)[three]).abs().square().mean(dim=(0, 1))
    low, high = power[60:120].mean(), power[600:1200].mean()  # 2 to 4 Hz and 20 to 40 Hz
    assert abs(float(torch.log10(low / high)) - exponent) < 0.15
    assert torch.equal(noisy.observed, batch.observed)


def test_real_noise_comes_at_its_ratio_on_the_components_that_it_has():
    batch = make_batch(16)
    noisy = RealNoise(probability=1.0, snr_db=(3.0, 3.0))(batch, make_random(len(batch)), NOISE)
    three = batch.observed[:, :, 0].all(dim=-1)
    assert (snr_db(batch, noisy)[three] - 3.0).abs().max() < 0.2
    assert torch.equal(noisy.observed, batch.observed)


def test_noise_records_with_arrivals_are_refused():
    record = make_record(5, event_id="Tohoku", station_id="XX.ABC.00")
    expected = (
        r"noise record of event 'Tohoku' at station 'XX.ABC.00' lists arrivals.*cut it before the first"
    )
    with pytest.raises(ValueError, match=expected):
        RealNoise(probability=1.0)(make_batch(2), make_random(2), WindowSource([record]))


def test_coloured_noise_of_a_length_that_transforms_dislike_is_as_long_as_the_window():
    batch = make_batch(4, window_s=30.01)  # 3001 samples, a prime
    noisy = ColouredNoise(probability=1.0, snr_db=(7.0, 7.0))(batch, make_random(4))
    assert noisy.num_samples == 3001 and torch.equal(noisy.observed, batch.observed)
    assert (snr_db(batch, noisy)[:3] - 7.0).abs().max() < 0.05


def test_a_stacked_event_is_where_its_label_says():
    batch = make_batch(40)
    stacked = Stacking(probability=1.0, amplitude_ratio=(1.0, 1.0), max_shift_s=12.0)(
        batch, make_random(40), TRAINING
    )
    added = stacked.waveform - batch.waveform
    p_s = stacked.labels["p_arrival_s"]
    rows = (~p_s[:, 1].isnan()).nonzero().flatten().tolist()
    assert len(rows) > 20
    assert p_s.shape == (40, 2)
    for row in rows:
        assert float(stacked.labels["s_arrival_s"][row, 1] - p_s[row, 1]) == pytest.approx(3.0, abs=1e-4)
        p = round(float(p_s[row, 1]) * RATE_HZ)
        vertical = added[row, 0]
        if 300 < p < 2700:
            # The partner's σ goes from 1 to 20 at its P, whatever the factor that it was scaled by.
            before = vertical[max(p - 250, 0) : p - 2]
            assert vertical[p : p + 250].std() > 8 * before[before != 0].std()
        assert batch.observed[row].any(dim=-1).equal(stacked.observed[row].any(dim=-1))
    others = [row for row in range(40) if row not in rows]
    assert (torch.nan_to_num(added[others]) == 0).all()


def test_what_is_said_of_one_event_is_unknown_of_two():
    batch = make_batch(12)
    batch = batch.replace(
        labels={**batch.labels, "magnitude": torch.ones(12), "event_type": torch.zeros(12, dtype=torch.int64)}
    )
    stacked = Stacking(probability=1.0)(batch, make_random(len(batch)), TRAINING)
    two = ~stacked.labels["p_arrival_s"][:, 1].isnan()
    assert torch.equal(stacked.labels["magnitude"].isnan(), two)
    assert torch.equal(stacked.labels["event_type"] == -1, two)
    assert stacked.labels["polarity"][~two, 1].eq(-1).all()
    assert torch.equal(stacked.labels["p_labelled"], batch.labels["p_labelled"])


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: {"labels": {**batch.labels, "s_labelled": torch.zeros(12, dtype=torch.bool)}},
        lambda batch: {"labels": {}},
        lambda batch: {"labels": {**batch.labels, "p_arrival_s": batch.labels["p_arrival_s"] * torch.nan}},
    ],
    ids=["s unlabelled", "no labels", "no P"],
)
def test_windows_that_do_not_know_their_arrivals_are_not_stacked(change):
    batch = make_batch(12)
    batch = batch.replace(**change(batch))
    assert Stacking(probability=1.0)(batch, make_random(12), TRAINING) is batch


@pytest.mark.parametrize(
    "fields",
    [
        {"labelled_phases": frozenset("P")},
        {"quiet": True},
        {"unit": "m/s"},
        {"arrivals": (Arrival(phase="P", time_s=40.0), Arrival(phase="S", time_s=75.0))},
        {"arrivals": (Arrival(phase="S", time_s=40.0),)},
    ],
    ids=["s unlabelled", "no arrival", "another unit", "S outside of the window", "no P"],
)
def test_windows_that_cannot_be_added_are_not(fields):
    batch = make_batch(12)
    alien = WindowSource([make_record(5, **fields)])
    assert_same(Stacking(probability=1.0)(batch, make_random(12), alien), batch)


def test_a_partner_has_data_for_each_component():
    batch = make_batch(8)
    vertical = WindowSource([make_record(5, ("Z",))])
    stacked = Stacking(probability=1.0, max_shift_s=0.0)(batch, make_random(8), vertical)
    # The vertical takes of the vertical; three components do not, of which two would lack the event.
    two = ~stacked.labels["p_arrival_s"][:, 1].isnan()
    assert two.any() and not two[batch.observed[:, 1].any(dim=-1)].any()


def test_a_second_earthquake_stands_in_the_next_column_in_any_company():
    """Another window with two events of its own gives the batch a column that this one does not need."""
    batch, random = make_batch(12), make_random(12)
    wide = batch.replace(
        labels={
            name: padded(label, name, 3) if name in EVENT_LABELS else label
            for name, label in batch.labels.items()
        }
    )
    stacked = Stacking(probability=1.0)
    assert_same(stacked(batch, random, TRAINING), stacked(wide, random, TRAINING))
    assert not stacked(wide, random, TRAINING).labels["p_arrival_s"][:, 1].isnan().all()


@pytest.mark.parametrize("name", ["stacking", "real_noise", "resampling"])
def test_mixed_rates_cannot_be_mixed_or_resampled_together(name):
    batch = make_batch(2)
    mixed = batch.replace(sampling_rate_hz=torch.tensor([100.0, 50.0]))
    with pytest.raises(ValueError, match=r"must share one rate.*\[50.0, 100.0\]: make a batch of each"):
        augmented(only(name), mixed, make_random(2))
