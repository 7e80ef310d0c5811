"""The stem computes what its formula says, however its numbers lie in memory."""

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.base import visible_entries
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract
from seisfm.foundation.stem import Stem, component_views
from torch.nn import functional as F

NUM_TOKENS, TOKEN_SAMPLES = 10, 16


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def stem(generator) -> Stem:
    stem = Stem(3, (4, 6, 8), TOKEN_SAMPLES, 12)
    for parameter in stem.parameters():
        parameter.data.normal_(0.0, 0.3, generator=generator)
    return stem


def plainly(weights, waveform, observed):
    """Tokens and skips from `(window, channel, sample)`, one operation after the other."""

    def convolved(features, name):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return F.conv1d(features, weight, bias, padding=weight.shape[-1] // 2)

    def blurred(features):
        kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]).expand(features.shape[1], 1, 5) / 16
        return F.conv1d(features, kernel, padding=2, groups=features.shape[1])[..., ::2]

    def refined(features, name):
        rms = (features.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
        normed = features / rms * weights[f"{name}.norm.weight"][:, None]
        return features + convolved(F.gelu(convolved(normed, f"{name}.conv")), f"{name}.mix")

    full = F.gelu(convolved(component_views(waveform, observed), "full_rate"))
    half = refined(F.gelu(convolved(blurred(full), "half_rate")), "half_refine")
    quarter = refined(F.gelu(convolved(blurred(half), "quarter_rate")), "quarter_refine")
    patches = torch.stack([patch.flatten(1) for patch in quarter.split(TOKEN_SAMPLES // 4, dim=-1)], dim=1)
    return F.linear(patches, weights["patch.weight"], weights["patch.bias"]), (full, half, quarter)


def some_input(generator):
    shape = (2, 3, NUM_TOKENS * TOKEN_SAMPLES)
    observed = torch.rand(shape, generator=generator) > 0.1
    return 3.0 * torch.randn(shape, generator=generator) * observed, observed


def test_tokens_skips_and_gradients_are_those_of_the_plain_formula(stem, generator):
    waveform, observed = some_input(generator)
    plain = {name: value.detach().clone().requires_grad_() for name, value in stem.named_parameters()}
    (tokens, skips), (own_tokens, own_skips) = plainly(plain, waveform, observed), stem(waveform, observed)
    loss, own_loss = (
        sum(part.square().mean() for part in parts) for parts in ((tokens, *skips), (own_tokens, *own_skips))
    )
    assert torch.allclose(own_tokens, tokens, rtol=1e-4, atol=1e-4)
    for own, expected in zip(own_skips, skips, strict=True):
        assert own.shape == expected.shape and torch.allclose(own, expected, rtol=1e-4, atol=1e-5)
    loss.backward()
    own_loss.backward()
    for name, parameter in stem.named_parameters():
        size = plain[name].grad.abs().max()
        assert torch.allclose(parameter.grad, plain[name].grad, rtol=1e-4, atol=1e-5 * float(size)), name


def test_a_token_is_embedded_alike_whether_others_are_hidden_or_not(generator):
    torch.manual_seed(0)
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    contract = InputContract().to_dict()
    model = SeismicModel(SeismicConfig(**settings, stem_channels=[4, 4, 8], input_contract=contract))
    waveform = torch.randn(2, 3, 1200, generator=generator)
    batch = WaveformBatch(
        waveform=waveform, sampling_rate_hz=torch.full((2,), 100.0), component_names=("Z", "N", "E"),
        unit=("counts",) * 2,
    )  # fmt: skip
    hidden = torch.zeros(2, model.num_tokens(batch), dtype=torch.bool)
    hidden[0, 10:30] = hidden[1, 40:60] = True
    prepared = model.prepare(model.hide(batch, hidden))
    with torch.no_grad():
        tokens, _ = model.stem(prepared.waveform, prepared.observed)
        observed = torch.ones_like(hidden)
        time_s = (torch.arange(hidden.shape[1]) + 0.5).expand(2, -1) * 0.16
        parts = (visible_entries(part, hidden) for part in (tokens, time_s, observed))
        expected = model.contextualize(*parts)
        assert torch.allclose(model.encode(prepared, hidden).tokens, expected, atol=1e-5)
