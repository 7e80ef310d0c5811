import dataclasses
import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.loading.augmentation import AugmentationConfig, Augmenter
from seisfm.data.loading.distortions import (
    Augmentation,
    Clipping,
    ComponentDropout,
    Gain,
    Gaps,
    PolarityFlip,
    Resampling,
    Spikes,
)
from seisfm.data.loading.mixing import ColouredNoise, RealNoise
from seisfm.data.loading.stacking import Stacking
from seisfm.data.loading.window_random import WindowRandom

_spec = importlib.util.spec_from_file_location(
    "augmentation_windows", Path(__file__).with_name("augmentation_windows.py")
)
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

RATE_HZ = cases.RATE_HZ
FIELDS = cases.FIELDS
make_random = cases.make_random
make_batch = cases.make_batch
DRAWN_FROM = cases.DRAWN_FROM
only = cases.only
DEFAULT = cases.DEFAULT
ALWAYS = cases.ALWAYS
augmented = cases.augmented
assert_same = cases.assert_same


@pytest.mark.parametrize("config", [DEFAULT, ALWAYS, *map(only, FIELDS)], ids=["default", "always", *FIELDS])
@pytest.mark.parametrize("window_s", [30.0, 10.01])
def test_a_window_meets_the_same_in_any_company(config, window_s):
    batch, random = make_batch(16, window_s=window_s, arrival_fraction=0.8), make_random(16)
    whole = augmented(config, batch, random)
    order = torch.from_numpy(np.random.default_rng(0).permutation(16))
    for rows in order.split([1, 5, 10]):
        part = augmented(config, batch.select(rows), random.select(rows))
        assert_same(part, whole.select(rows))


@pytest.mark.parametrize("name", FIELDS)
def test_another_key_meets_something_else(name):
    batch = make_batch(4).select(torch.tensor([0, 0, 0, 0]))
    batch = batch.replace(labels={label: value.clone() for label, value in batch.labels.items()})
    if name == "resampling":
        rates = {augmented(only(name), batch, make_random(4, seed)).num_samples for seed in range(16)}
        assert rates == {1200, 1500}
        return
    probability = 0.5 if name == "polarity_flip" else 1.0
    changed = augmented(only(name, probability), batch, make_random(4, seed=1)).waveform.nan_to_num()
    differing = sum(not torch.equal(changed[i], changed[j]) for i in range(4) for j in range(i))
    assert differing >= 3, differing


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([AugmentationConfig(), ALWAYS]), st.integers(0, 10_000))
def test_all_together_keep_the_promises(config, seed):
    batch = make_batch(seed=seed, arrival_fraction=0.5)
    before = batch.waveform.clone(), {name: label.clone() for name, label in batch.labels.items()}
    after = augmented(config, batch, make_random(12, seed))
    # Nothing went into the original.
    torch.testing.assert_close(batch.waveform, before[0], rtol=0, atol=0, equal_nan=True)
    for name, label in before[1].items():
        torch.testing.assert_close(batch.labels[name], label, rtol=0, atol=0, equal_nan=True)
    # What was never observed stays so, and something always is.
    missing = ~batch.observed.any(dim=-1)
    assert not after.observed[missing].any()
    assert after.observed.any(dim=-1).any(dim=-1).all()
    # The window's own arrivals come first, to the bit.
    for name in ("p_arrival_s", "s_arrival_s"):
        own = batch.labels[name]
        assert torch.equal(after.labels[name][:, : own.shape[1]][~own.isnan()], own[~own.isnan()])
    # And the same keys do the same again.
    assert_same(after, augmented(config, batch, make_random(12, seed)))


def test_what_is_switched_off_does_nothing():
    batch = make_batch()
    after = augmented(only("none of them"), batch, make_random(12))
    assert_same(after, batch)


def test_without_a_source_nothing_is_mixed_in():
    batch = make_batch(8)
    for name in ("stacking", "real_noise"):
        assert_same(Augmenter(only(name), None, None)(batch, make_random(8)), batch)


@pytest.mark.parametrize("name", FIELDS)
def test_every_configured_augmentation_acts(name):
    batch = make_batch(16)
    after = augmented(only(name), batch, make_random(16))
    assert after.waveform.shape != batch.waveform.shape or not torch.equal(
        torch.nan_to_num(after.waveform), torch.nan_to_num(batch.waveform)
    )
    # Alone it does what it does among the others.
    assert_same(getattr(only(name), name)(batch, make_random(16), *DRAWN_FROM.get(name, ())), after)


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "resampling"])
def test_a_probability_is_the_share_of_windows_that_change(name):
    batch = make_batch(4, window_s=2.0).select(torch.zeros(600, dtype=torch.int64))
    step = dataclasses.replace(getattr(DEFAULT, name), probability=0.25)
    if name == "real_noise":
        step = dataclasses.replace(step, snr_db=(0.0, 1.0))
    after = step(batch, make_random(600), *DRAWN_FROM.get(name, ()))
    changed = (after.waveform.nan_to_num() != batch.waveform.nan_to_num()).flatten(1).any(dim=1)
    expected = 0.25 * (0.75 if name == "stacking" else 1.0)  # a quarter of the others are vertical only
    sigma = math.sqrt(expected * (1 - expected) / 600)
    assert abs(float(changed.float().mean()) - expected) < 4 * sigma + (0.06 if name == "stacking" else 0.0)


def test_resampling_falls_on_its_share_of_batches():
    batch = make_batch(1, window_s=2.0)
    step = Resampling(probability=0.25)
    rates_hz = [float(step(batch, make_random(1, seed)).sampling_rate_hz[0]) for seed in range(600)]
    assert abs(rates_hz.count(100.0) / 600 - 0.75) < 4 * math.sqrt(0.25 * 0.75 / 600)
    assert 40 < rates_hz.count(40.0) < 110


def test_what_was_not_observed_stays_so_though_a_number_stands_there():
    batch = make_batch(4)
    observed = batch.observed.clone()
    observed[:, :, 100:200] = False
    after = Gain(probability=1.0)(batch.replace(observed=observed), make_random(4))
    assert not after.observed[:, :, 100:200].any()


@pytest.mark.parametrize(
    ("random", "found"),
    [
        (make_random(3), "found 3 on cpu"),
        (WindowRandom(torch.zeros(4, dtype=torch.int64, device="meta")), "found 4 on meta"),
    ],
    ids=["another count", "another device"],
)
def test_random_numbers_of_other_windows_are_refused(random, found):
    with pytest.raises(ValueError, match=f"an entry for each of 4 windows on cpu, {found}"):
        Gain()(make_batch(4), random)


def test_an_augmentation_must_say_what_it_does():
    with pytest.raises(NotImplementedError, match="Augmentation must say what it does to a draft"):
        Augmentation(probability=1.0)(make_batch(2), make_random(2))


def test_gain_is_one_log_uniform_factor_a_station():
    batch = make_batch(400)
    factor = (
        Gain(probability=1.0, factor=(0.01, 100.0))(batch, make_random(len(batch))).waveform / batch.waveform
    )
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
    changed = (Gain(probability=1.0)(batch, make_random(len(batch))).waveform != batch.waveform)[:, 0].any(
        dim=-1
    )
    assert changed.tolist() == [False, True, False, True]


def test_a_flip_reverses_waveform_and_first_motion():
    batch = make_batch(8)
    flipped = PolarityFlip(probability=1.0)(batch, make_random(len(batch)))
    torch.testing.assert_close(flipped.waveform, -batch.waveform, equal_nan=True)
    assert batch.labels["polarity"].flatten().tolist() == [2, 0] * 4
    assert flipped.labels["polarity"].flatten().tolist() == [2, 1] * 4
    twice = PolarityFlip(probability=1.0)(flipped, make_random(len(batch)))
    assert torch.equal(twice.labels["polarity"], batch.labels["polarity"])


def test_dropout_takes_some_components_and_never_all():
    batch = make_batch(400)
    dropped = ComponentDropout(probability=1.0)(batch, make_random(len(batch)))
    before, after = (each.observed.any(dim=-1).sum(dim=1) for each in (batch, dropped))
    assert set(after[before == 3].tolist()) == {1, 2}
    assert (after[before == 1] == 1).all()


def test_a_gap_is_one_span_of_all_components():
    batch = make_batch(200)
    gappy = Gaps(probability=1.0, duration_s=(1.0, 4.0))(batch, make_random(len(batch)))
    lost = batch.observed & ~gappy.observed
    length_s = lost[:, 0].sum(dim=-1) / RATE_HZ
    assert float(length_s.min()) >= 0.99 and float(length_s.max()) <= 4.01
    assert (lost[:, 0].float().diff(dim=-1).abs().sum(dim=-1) <= 2).all()
    three = batch.observed.any(dim=-1).all(dim=-1)
    assert torch.equal(lost[three, 0], lost[three, 2])
    longest = Gaps(probability=1.0, duration_s=(500.0, 500.0))(batch, make_random(len(batch)))
    assert (longest.observed[:, 0].sum(dim=-1) == 1500).all()


def test_a_spike_is_one_sample():
    batch = make_batch(100)
    spiked = Spikes(probability=1.0, times_peak=(2.0, 3.0))(batch, make_random(len(batch)))
    changed = torch.nan_to_num(spiked.waveform - batch.waveform)
    assert ((changed != 0).sum(dim=(1, 2)) <= 1).all()
    peak = torch.nan_to_num(batch.waveform - batch.waveform.nanmean(-1, keepdim=True)).abs().amax(dim=(1, 2))
    ratio = (changed.abs().amax(dim=(1, 2)) / peak)[changed.abs().amax(dim=(1, 2)) > 0]
    assert float(ratio.min()) >= 2 - 1e-3 and float(ratio.max()) <= 3 + 1e-3


def test_clipping_bounds_the_deviation_and_keeps_the_offset():
    batch = make_batch(20)
    clipped = Clipping(probability=1.0, peak_fraction=(0.3, 0.3))(batch, make_random(len(batch)))
    mean = batch.waveform.nanmean(-1, keepdim=True)
    peak = torch.nan_to_num(batch.waveform - mean).abs().amax(dim=(1, 2))
    now = torch.nan_to_num(clipped.waveform - mean).abs().amax(dim=(1, 2))
    torch.testing.assert_close(now / peak, torch.full_like(peak, 0.3), rtol=1e-3, atol=0)


def test_resampling_moves_no_arrival():
    batch = make_batch(8)
    resampled = Resampling(probability=1.0, rates_hz=(50.0,))(batch, make_random(len(batch)))
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
    assert len(augmented(ALWAYS, empty, make_random(0))) == 0


def test_the_page_about_augmentation_is_true():
    text = (Path(__file__).parents[2] / "docs" / "augmentation.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    exec(compile(code, "docs/augmentation.md", "exec"), {})
    for name in FIELDS:
        assert f"`{name}`" in text
