import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.configs.loader import build_config
from seisfm.data.augmentation import AugmentationConfig, Augmenter
from seisfm.data.batch import WaveformBatch
from seisfm.data.distortions import Clipping, ComponentDropout, Gain, Gaps, PolarityFlip, Resampling, Spikes
from seisfm.data.mixing import ColouredNoise, RealNoise, Stacking
from seisfm.data.records import Arrival, Record
from seisfm.data.windows import WindowConfig, cut_windows

RATE_HZ = 100.0


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_record(
    index, names=("Z", "N", "E"), duration_s=90.0, labelled="PS", quiet=False, **fields
) -> Record:
    """Noise of σ = 1 about an offset of 1000, and from P at 40 s on, on all components, of σ = 20."""
    rng = np.random.default_rng(index)
    waveform = 1000 + rng.standard_normal((len(names), 9000))
    if not quiet:
        waveform[:, 4000:] += 20 * rng.standard_normal((len(names), waveform.shape[1] - 4000))
    arrivals = (
        Arrival(phase="P", time_s=40.0, polarity="positive" if index % 2 else "undecidable"),
        Arrival(phase="S", time_s=43.0),
    )
    return Record(
        **{
            "record_id": str(index),
            "waveform": waveform.astype(np.float32),
            "component_names": names,
            "sampling_rate_hz": RATE_HZ,
            "unit": "counts",
            "arrivals": () if quiet else arrivals,
            "labelled_phases": frozenset("PS"),
            **fields,
        }
    )


def make_batch(num_windows=12, seed=0, arrival_fraction=1.0) -> WaveformBatch:
    """Three in four windows with three components, the others vertical only."""
    records = [make_record(i, ("Z",) if i % 4 == 3 else ("Z", "N", "E")) for i in range(num_windows)]
    return cut_windows(
        records, WindowConfig(arrival_fraction=arrival_fraction, margin_s=6.0), generator(seed)
    )


NOISE = [make_record(100 + i, quiet=True, names=("Z",) if i % 2 else ("Z", "N", "E")) for i in range(4)]

ALWAYS = AugmentationConfig(
    **{
        entry.name: dataclasses.replace(getattr(AugmentationConfig(), entry.name), probability=1.0)
        for entry in dataclasses.fields(AugmentationConfig)
    }
)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([AugmentationConfig(), ALWAYS]), st.integers(0, 10_000))
def test_all_together_keep_the_promises(config, seed):
    batch = make_batch(seed=seed, arrival_fraction=0.5)
    before = batch.waveform.clone(), {name: label.clone() for name, label in batch.labels.items()}
    augmented = Augmenter(config, NOISE)(batch, generator(seed))
    # Nothing went into the original.
    torch.testing.assert_close(batch.waveform, before[0], rtol=0, atol=0, equal_nan=True)
    for name, label in before[1].items():
        torch.testing.assert_close(batch.labels[name], label, rtol=0, atol=0, equal_nan=True)
    # What was never observed stays so, and something always is.
    missing = ~batch.observed.any(dim=-1)
    assert not augmented.observed[missing].any()
    assert augmented.observed.any(dim=-1).any(dim=-1).all()
    # The first columns of arrivals are the window's own, to the bit.
    for name in ("p_arrival_s", "s_arrival_s"):
        own = augmented.labels[name][:, : batch.labels[name].shape[1]]
        torch.testing.assert_close(own, batch.labels[name], rtol=0, atol=0, equal_nan=True)
    # And the same generator does the same again.
    again = Augmenter(config, NOISE)(batch, generator(seed))
    torch.testing.assert_close(augmented.waveform, again.waveform, rtol=0, atol=0, equal_nan=True)


def test_probability_zero_is_nothing():
    off = {f.name: {"probability": 0.0} for f in dataclasses.fields(AugmentationConfig)}
    config = build_config(AugmentationConfig, off)
    batch = make_batch()
    augmented = Augmenter(config, NOISE)(batch, generator())
    torch.testing.assert_close(augmented.waveform, batch.waveform, rtol=0, atol=0, equal_nan=True)


def test_every_configured_augmentation_acts():
    batch = make_batch(64)
    for entry in dataclasses.fields(AugmentationConfig):
        if entry.name == "polarity_flip":
            continue  # shown below; the waveform's sign is not in question here
        only = {f.name: {"probability": float(f is entry)} for f in dataclasses.fields(AugmentationConfig)}
        augmented = Augmenter(build_config(AugmentationConfig, only), NOISE)(batch, generator())
        assert augmented.waveform.shape != batch.waveform.shape or not torch.equal(
            torch.nan_to_num(augmented.waveform), torch.nan_to_num(batch.waveform)
        ), entry.name


def test_gain_is_one_log_uniform_factor_a_station():
    batch = make_batch(400)
    factor = Gain(probability=1.0, factor=(0.01, 100.0))(batch, generator()).waveform / batch.waveform
    mean = factor.nanmean(dim=(1, 2))
    assert (factor / mean[:, None, None] - 1).nan_to_num().abs().max() < 1e-5
    assert -2 <= float(mean.log10().min()) < -1.8
    assert 1.8 < float(mean.log10().max()) <= 2.001
    assert abs(float(mean.log10().mean())) < 0.2


def test_gain_leaves_a_known_magnitude_true():
    batch = make_batch(4)
    batch = batch.replace(
        labels={**batch.labels, "magnitude": torch.tensor([1.0, torch.nan, 3.0, torch.nan])}
    )
    changed = (Gain(probability=1.0)(batch, generator()).waveform != batch.waveform)[:, 0].any(dim=-1)
    assert changed.tolist() == [False, True, False, True]


def test_a_flip_reverses_waveform_and_first_motion():
    batch = make_batch(8)
    flipped = PolarityFlip(probability=1.0)(batch, generator())
    torch.testing.assert_close(flipped.waveform, -batch.waveform, equal_nan=True)
    assert batch.labels["polarity"].flatten().tolist() == [2, 0] * 4
    assert flipped.labels["polarity"].flatten().tolist() == [2, 1] * 4
    twice = PolarityFlip(probability=1.0)(flipped, generator())
    assert torch.equal(twice.labels["polarity"], batch.labels["polarity"])


def test_dropout_takes_some_components_and_never_all():
    batch = make_batch(400)
    dropped = ComponentDropout(probability=1.0)(batch, generator())
    before, after = (each.observed.any(dim=-1).sum(dim=1) for each in (batch, dropped))
    assert set(after[before == 3].tolist()) == {1, 2}
    assert (after[before == 1] == 1).all()


def test_a_gap_is_one_span_of_all_components():
    batch = make_batch(200)
    gappy = Gaps(probability=1.0, duration_s=(1.0, 4.0))(batch, generator())
    lost = batch.observed & ~gappy.observed
    length_s = lost[:, 0].sum(dim=-1) / RATE_HZ
    assert float(length_s.min()) >= 0.99 and float(length_s.max()) <= 4.01
    assert (lost[:, 0].float().diff(dim=-1).abs().sum(dim=-1) <= 2).all()
    three = batch.observed.any(dim=-1).all(dim=-1)
    assert torch.equal(lost[three, 0], lost[three, 2])
    longest = Gaps(probability=1.0, duration_s=(500.0, 500.0))(batch, generator())
    assert (longest.observed[:, 0].sum(dim=-1) == 1500).all()


def test_a_spike_is_one_sample():
    batch = make_batch(100)
    spiked = Spikes(probability=1.0, times_peak=(2.0, 3.0))(batch, generator())
    changed = torch.nan_to_num(spiked.waveform - batch.waveform)
    assert ((changed != 0).sum(dim=(1, 2)) <= 1).all()
    peak = torch.nan_to_num(batch.waveform - batch.waveform.nanmean(-1, keepdim=True)).abs().amax(dim=(1, 2))
    ratio = (changed.abs().amax(dim=(1, 2)) / peak)[changed.abs().amax(dim=(1, 2)) > 0]
    assert float(ratio.min()) >= 2 - 1e-3 and float(ratio.max()) <= 3 + 1e-3


def test_clipping_bounds_the_deviation_and_keeps_the_offset():
    batch = make_batch(20)
    clipped = Clipping(probability=1.0, peak_fraction=(0.3, 0.3))(batch, generator())
    mean = batch.waveform.nanmean(-1, keepdim=True)
    peak = torch.nan_to_num(batch.waveform - mean).abs().amax(dim=(1, 2))
    now = torch.nan_to_num(clipped.waveform - mean).abs().amax(dim=(1, 2))
    torch.testing.assert_close(now / peak, torch.full_like(peak, 0.3), rtol=1e-3, atol=0)


def test_resampling_moves_no_arrival():
    batch = make_batch(8)
    resampled = Resampling(probability=1.0, rates_hz=(50.0,))(batch, generator())
    assert resampled.sampling_rate_hz.tolist() == [50.0] * 8
    assert resampled.num_samples == 1500
    for name, label in batch.labels.items():
        torch.testing.assert_close(resampled.labels[name], label, rtol=0, atol=0, equal_nan=True)
    # The P is still where the label says: σ goes from 1 to 20 there.
    for window in range(8):
        p = round(float(batch.labels["p_arrival_s"][window, 0]) * 50)
        vertical = resampled.waveform[window, 0] - 1000
        assert vertical[p - 100 : p - 5].std() < 3
        assert vertical[p + 5 : p + 100].std() > 8


def test_mixed_rates_cannot_be_resampled_together():
    batch = make_batch(2)
    mixed = batch.replace(sampling_rate_hz=torch.tensor([100.0, 50.0]))
    with pytest.raises(ValueError, match=r"must share one rate.*\[50.0, 100.0\]"):
        Resampling(probability=1.0)(mixed, generator())


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
    noisy = noise(batch, generator())
    three = batch.observed[:, :, 0].all(dim=-1)
    assert (snr_db(batch, noisy)[three] - 7.0).abs().max() < 0.05
    power = torch.fft.rfft((noisy.waveform - batch.waveform)[three]).abs().square().mean(dim=(0, 1))
    low, high = power[60:120].mean(), power[600:1200].mean()  # 2 to 4 Hz and 20 to 40 Hz
    assert abs(float(torch.log10(low / high)) - exponent) < 0.15
    assert torch.equal(noisy.observed, batch.observed)


def test_real_noise_comes_at_its_ratio_on_the_components_that_it_has():
    batch = make_batch(16)
    noisy = RealNoise(probability=1.0, snr_db=(3.0, 3.0))(batch, generator(), NOISE)
    three = batch.observed[:, :, 0].all(dim=-1)
    assert (snr_db(batch, noisy)[three] - 3.0).abs().max() < 0.2
    assert torch.equal(noisy.observed, batch.observed)


def test_noise_records_with_arrivals_are_refused():
    with pytest.raises(ValueError, match=r"noise record 5 lists arrivals.*cut it before the first"):
        RealNoise(probability=1.0)(make_batch(2), generator(), [make_record(5)])


def test_a_stacked_event_is_where_its_label_says():
    batch = make_batch(40)
    stacked = Stacking(probability=1.0, amplitude_ratio=(1.0, 1.0), max_shift_s=12.0)(batch, generator())
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
    stacked = Stacking(probability=1.0)(batch, generator())
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
        lambda batch: {"labels": {**batch.labels, "s_arrival_s": batch.labels["s_arrival_s"] + 40}},
    ],
    ids=["s unlabelled", "no labels", "no P", "S outside of the window"],
)
def test_windows_that_do_not_know_their_arrivals_are_not_stacked(change):
    batch = make_batch(12)
    batch = batch.replace(**change(batch))
    assert Stacking(probability=1.0)(batch, generator()) is batch


def test_units_rates_and_components_must_fit_for_stacking():
    batch = make_batch(4).select(torch.tensor([0, 3]))  # three components; vertical alone
    for seed in range(8):
        stacked = Stacking(probability=1.0)(batch, generator(seed))
        if stacked is not batch:
            # The vertical takes of the three; not the other way, where two components would lack the event.
            assert stacked.labels["p_arrival_s"][:, 1].isnan().tolist() == [True, False]
    assert any(Stacking(probability=1.0)(batch, generator(seed)) is not batch for seed in range(8))
    for alien in ({"unit": ("counts", "m/s")}, {"sampling_rate_hz": torch.tensor([100.0, 99.0])}):
        changed = batch.replace(**alien)
        assert all(Stacking(probability=1.0)(changed, generator(seed)) is changed for seed in range(8))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Gain, {"probability": 1.5}, "Gain: probability must lie in 0 to 1, found 1.5"),
        (Gain, {"factor": (0.0, 1.0)}, "factor must be two numbers above 0, the lower first"),
        (Gaps, {"duration_s": (5.0, 1.0)}, "duration_s must be two numbers above 0, the lower first"),
        (ColouredNoise, {"snr_db": (10.0, 0.0)}, "snr_db must be two numbers, the lower first"),
        (Spikes, {"times_peak": (0.0, 1.0)}, "times_peak must be"),
        (Clipping, {"peak_fraction": (-1.0, 1.0)}, "peak_fraction must be"),
        (Resampling, {"rates_hz": ()}, "rates_hz must list one positive rate or more"),
        (Stacking, {"max_shift_s": -1.0}, "max_shift_s must not be negative, found -1.0"),
        (Stacking, {"amplitude_ratio": (2.0, 1.0)}, "amplitude_ratio must be"),
        (PolarityFlip, {"probability": -0.1}, "PolarityFlip: probability"),
        (ComponentDropout, {"probability": float("nan")}, "ComponentDropout: probability"),
        (RealNoise, {"snr_db": (1.0, 0.0)}, "snr_db must be"),
    ],
)
def test_impossible_settings_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)


def test_an_empty_batch_passes_through():
    empty = make_batch(4).select(torch.tensor([], dtype=torch.int64))
    assert len(Augmenter(ALWAYS, NOISE)(empty, generator())) == 0
