import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.configs.loader import build_config
from seisfm.data.batch import WaveformBatch
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
from seisfm.data.loading.window_labels import EVENT_LABELS
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record

RATE_HZ = 100.0
FIELDS = [entry.name for entry in dataclasses.fields(AugmentationConfig)]


def make_random(num_windows, seed=0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(num_windows), "test", seed), seed)


def make_record(index, names=("Z", "N", "E"), quiet=False, **fields) -> Record:
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


def make_batch(num_windows=12, seed=0, arrival_fraction=1.0, window_s=30.0) -> WaveformBatch:
    """Three in four windows with three components, the others vertical only."""
    records = [make_record(i, ("Z",) if i % 4 == 3 else ("Z", "N", "E")) for i in range(num_windows)]
    windows = WindowConfig(arrival_fraction=arrival_fraction, margin_s=window_s / 5, window_s=window_s)
    return WindowSource(records).cut(np.arange(num_windows), make_random(num_windows, seed), windows)


TRAINING = WindowSource([make_record(50 + i, ("Z",) if i % 4 == 3 else ("Z", "N", "E")) for i in range(12)])
NOISE = WindowSource(
    [make_record(100 + i, quiet=True, names=("Z",) if i % 2 else ("Z", "N", "E")) for i in range(4)]
)
DRAWN_FROM = {"stacking": (TRAINING,), "real_noise": (NOISE,)}


def only(name, probability=1.0) -> AugmentationConfig:
    chances = {field: {"probability": probability if field == name else 0.0} for field in FIELDS}
    return build_config(AugmentationConfig, chances)


DEFAULT = AugmentationConfig()
ALWAYS = AugmentationConfig(
    **{name: dataclasses.replace(getattr(DEFAULT, name), probability=1.0) for name in FIELDS}
)


def augmented(config, batch, random) -> WaveformBatch:
    return Augmenter(config, TRAINING, NOISE)(batch, random)


def assert_same(first, second):
    """To the bit, except for columns of events in which nothing stands."""
    torch.testing.assert_close(first.waveform, second.waveform, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(first.observed, second.observed)
    assert torch.equal(first.sampling_rate_hz, second.sampling_rate_hz)
    assert set(first.labels) == set(second.labels)
    width = max(each.labels[name].shape[1] for each in (first, second) for name in EVENT_LABELS)
    for name in first.labels:
        ours, theirs = (padded(each.labels[name], name, width) for each in (first, second))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


def padded(label, name, width):
    if name not in EVENT_LABELS:
        return label
    unknown = torch.nan if label.is_floating_point() else -1
    return torch.nn.functional.pad(label, (0, width - label.shape[1]), value=unknown)


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
