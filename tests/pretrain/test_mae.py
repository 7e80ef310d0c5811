import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.window_random import window_keys
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract, Normalization
from seisfm.pretrain.objectives.mae import MaskedAutoencoder, MaskedAutoencoderConfig
from seisfm.pretrain.objectives.masking import MaskConfig
from seisfm.pretrain.pretraining import Pretraining

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "stem_channels": [4, 8, 16]}


def make_pretraining(seed=0, **contract):
    torch.manual_seed(seed)
    model = SeismicModel(SeismicConfig(**SMALL, input_contract=InputContract(**contract).to_dict()))
    objective = MaskedAutoencoder(model, MaskedAutoencoderConfig(decoder_size=32, decoder_heads=2))
    return Pretraining(model, {"mae": objective}, {})


def mae(pretraining):
    return pretraining.objectives["mae"]


def draw_mask(pretraining, batch):
    return mae(pretraining).draw_mask(pretraining.model, batch)


def score(pretraining, batch, hidden):
    return mae(pretraining).score(pretraining.model, batch, hidden)


@pytest.fixture(scope="module")
def pretraining():
    return make_pretraining()


def make_batch(seed=0, num_samples=1600, rate_hz=100.0, num_windows=3):
    """Noise with a wave packet a hundred times as large, a gap, and a missing component."""
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(num_windows, 3, num_samples, generator=generator)
    waveform[..., 900:1000] *= 100
    waveform[0, 1] = torch.nan
    waveform[1, :, 300:420] = torch.nan
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.full((num_windows,), rate_hz),
        component_names=("Z", "N", "E"),
        unit=("counts",) * num_windows,
        window_key=window_keys(torch.arange(num_windows), seed),
    )


def hidden_samples(pretraining, batch, hidden):
    """Which input samples belong to hidden tokens, at the model's own rate."""
    samples = hidden.repeat_interleave(mae(pretraining).token_samples, dim=1)[:, None, : batch.num_samples]
    return samples.expand_as(batch.waveform)


def test_hidden_samples_change_nothing_that_the_encoder_says(pretraining):
    batch = make_batch()
    hidden = draw_mask(pretraining, batch)
    gone = hidden_samples(pretraining, batch, hidden)
    other = torch.where(gone & batch.observed, 1e4 * torch.randn(batch.waveform.shape), batch.waveform)
    with torch.no_grad():
        features = pretraining.model(batch, hidden=hidden)
        changed = pretraining.model(batch.replace(waveform=other), hidden=hidden)
        missing = pretraining.model(
            batch.replace(waveform=torch.where(gone, torch.nan, batch.waveform)), hidden=hidden
        )
    for name in ("tokens", "token_time_s", "pooled", "log_gain"):
        assert torch.equal(features[name], changed[name]), name
        assert torch.equal(features[name], missing[name]), name


def test_the_prediction_of_hidden_samples_comes_from_the_visible_ones(pretraining):
    batch = make_batch()
    hidden = draw_mask(pretraining, batch)
    gone = hidden_samples(pretraining, batch, hidden)
    other = batch.replace(waveform=torch.where(gone, -3 * batch.waveform, batch.waveform))
    predictions = []
    with torch.no_grad():
        for seen in (batch, other):
            visible = pretraining.model.prepare(pretraining.model.hide(seen, hidden))
            predictions.append(
                mae(pretraining).predict(pretraining.model.encode(visible, hidden), hidden)["waveform"]
            )
    assert torch.equal(*predictions)
    # … while the truth, and so the loss, is that of the hidden samples.
    assert score(pretraining, batch, hidden)[0] != score(pretraining, other, hidden)[0]


def truth_of(pretraining, batch, hidden):
    whole, visible = (
        pretraining.model.prepare(batch),
        pretraining.model.prepare(pretraining.model.hide(batch, hidden)),
    )
    return mae(pretraining).hidden_truth(whole, visible, hidden)


def test_predictions_at_visible_or_unobserved_places_cannot_matter(pretraining):
    batch = make_batch()
    hidden = draw_mask(pretraining, batch)
    truth = truth_of(pretraining, batch, hidden)
    predicted = torch.randn(truth.waveform.shape)
    other = torch.where(truth.judged, predicted, 100 * torch.randn(truth.waveform.shape)).requires_grad_()
    loss, _ = mae(pretraining).compare({"waveform": other}, truth)
    assert loss == mae(pretraining).compare({"waveform": predicted}, truth)[0] > 0
    (gradient,) = torch.autograd.grad(loss, other)
    assert torch.equal(gradient[~truth.judged], torch.zeros(int((~truth.judged).sum())))
    assert (gradient[truth.judged] != 0).float().mean() > 0.9


def test_only_hidden_and_observed_samples_are_judged(pretraining):
    batch = make_batch()
    hidden = draw_mask(pretraining, batch)
    judged = truth_of(pretraining, batch, hidden).judged[:, :3, : batch.num_samples]
    assert torch.equal(judged, hidden_samples(pretraining, batch, hidden) & batch.observed)
    assert not truth_of(pretraining, batch, hidden).judged[:, 3].any()


def test_what_lies_behind_a_gap_cannot_reach_the_loss(pretraining):
    batch = make_batch()
    hidden = draw_mask(pretraining, batch)
    garbage = torch.where(batch.observed, batch.waveform, 1e6)
    same = batch.replace(waveform=garbage, observed=batch.observed)
    assert score(pretraining, batch, hidden)[0] == score(pretraining, same, hidden)[0]


def test_the_scale_of_the_truth_is_that_of_the_visible_part():
    """Hiding the large S must not make it small, nor tell its size through the scaling of the rest."""
    pretraining = make_pretraining(highpass_hz=None)
    batch = make_batch(num_windows=2)
    hidden = torch.zeros(2, pretraining.model.num_tokens(batch), dtype=torch.bool)
    hidden[:, 54:65] = True
    truth = truth_of(pretraining, batch, hidden)
    visible_std = pretraining.model.prepare(pretraining.model.hide(batch, hidden)).scale[1, 0]
    expected = torch.asinh((batch.waveform[1, 0] - batch.waveform[1, 0].nanmean()) / visible_std)
    part = slice(54 * 16, 65 * 16)
    torch.testing.assert_close(truth.waveform[1, 0, part], expected[part], atol=1e-4, rtol=1e-4)
    assert truth.waveform.abs().max() < 8 and truth.waveform[1, 0, part].abs().max() > 4


def test_a_window_that_shows_nothing_is_not_judged(pretraining):
    batch = make_batch(num_windows=2)
    hidden = draw_mask(pretraining, batch)
    waveform = batch.waveform.clone()
    waveform[0] = torch.where(hidden_samples(pretraining, batch, hidden)[0], waveform[0], torch.nan)
    loss, _ = score(pretraining, batch.replace(waveform=waveform), hidden)
    assert loss.isfinite()
    assert not truth_of(pretraining, batch.replace(waveform=waveform), hidden).judged[0].any()


def test_a_batch_without_any_data_has_a_loss_of_zero_and_finite_gradients():
    pretraining = make_pretraining()
    batch = make_batch()
    loss, _ = pretraining(batch.replace(waveform=torch.full_like(batch.waveform, torch.nan)))
    loss.backward()
    assert loss == 0
    assert all(p.grad.isfinite().all() for p in pretraining.parameters() if p.grad is not None)


@pytest.mark.parametrize(("rate_hz", "num_samples"), [(50.0, 800), (40.0, 700), (100.0, 1613), (200.0, 3001)])
def test_any_rate_and_length_works(pretraining, rate_hz, num_samples):
    batch = make_batch(rate_hz=rate_hz, num_samples=num_samples)
    loss, parts = pretraining(batch)
    assert loss.isfinite() and {"waveform_loss", "spectral_loss"} == parts.keys()


def test_a_component_by_itself_scaling_works():
    pretraining = make_pretraining(normalization=Normalization(scope="component"))
    assert pretraining(make_batch())[0].isfinite()


def test_bfloat16_autocast_keeps_the_loss_in_float32(pretraining):
    batch = make_batch()
    hidden = draw_mask(pretraining, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = score(pretraining, batch, hidden)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, score(pretraining, batch, hidden)[0], atol=0.02, rtol=0.02)


def test_the_mask_follows_the_windows_keys_alone(pretraining):
    batch = make_batch()
    masks = []
    for keys in (batch.window_key, batch.window_key, window_keys(torch.arange(3), 9)):
        torch.manual_seed(len(masks))
        masks.append(draw_mask(pretraining, batch.with_window_key(keys)))
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])
    one = draw_mask(pretraining, batch.select(torch.tensor([2])))
    assert torch.equal(one[0], masks[0][2])


def test_windows_without_keys_are_refused(pretraining):
    with pytest.raises(ValueError, match="with_window_key"):
        pretraining(make_batch().replace(window_key=None))


def test_the_loss_on_a_fixed_batch_falls_in_thirty_steps():
    pretraining = make_pretraining()
    batch = make_batch(num_windows=2, num_samples=1040)
    hidden = draw_mask(pretraining, batch)
    optimizer = torch.optim.AdamW(pretraining.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, _ = score(pretraining, batch, hidden)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.85 * losses[0] and losses[-1] < float(
        mae(pretraining).trivial_loss(pretraining.model, batch)
    )


def test_the_mask_ratio_reaches_the_encoder():
    model = make_pretraining().model
    config = MaskedAutoencoderConfig(mask=MaskConfig(ratio=0.75), decoder_size=32, decoder_heads=2)
    batch = make_batch()
    hidden = MaskedAutoencoder(model, config).draw_mask(model, batch)
    assert model(batch, hidden=hidden).tokens.shape[1] == 25 and hidden.shape[1] == 100
