"""SeisLM: its published size to the parameter, what its tokens see, and what stands for hidden ones."""

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.window_random import window_keys
from seisfm.foundation.backbones.seislm import PositionalConv, SeisLMConfig, SeisLMModel
from seisfm.foundation.contract import InputContract
from seisfm.foundation.token_grid import TokenGrid
from seisfm.pretrain.objectives.registry import make_objective
from seisfm.pretrain.pretraining import Pretraining

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "stem_channels": [16, 16],
    "position_kernel": 16,
    "position_groups": 4,
}


def new_model(**contract):
    torch.manual_seed(0)
    return SeisLMModel(SeisLMConfig.of_size("base", InputContract(**contract), **SMALL)).eval()


@pytest.fixture(scope="module")
def model():
    return new_model()


def make_batch(num_windows=2, num_samples=1201, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return WaveformBatch(
        waveform=torch.randn(num_windows, 3, num_samples, generator=generator),
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * num_windows,
        window_key=window_keys(torch.arange(num_windows), seed),
    )


def grid_of(model, batch):
    return TokenGrid.of(model.prepare(batch), 4, 100.0, torch.float32)


# --- size ---------------------------------------------------------------------------------------


def published_count(size):
    """Parameters of ours and of the published heads of pretraining, which the published numbers contain."""
    with torch.device("meta"):
        model = SeisLMModel(SeisLMConfig.of_size(size, InputContract(components=("Z", "N", "E"))))
    backbone = sum(
        p.numel() for name, p in model.named_parameters() if not name.startswith(("pooling.", "missing."))
    )
    codes, dim, width = 2 * 320, 256, model.config.hidden_size
    codebooks = codes * dim // 2  # the two groups share the 256 dimensions
    choice = 256 * codes + codes  # from the convolutions' 256 channels
    project_code, project_context = dim * dim + dim, width * dim + dim
    return backbone + codebooks + choice + project_code + project_context


def test_the_large_size_is_the_published_one_to_the_parameter():
    # The model card of the published weights.
    assert published_count("large") == 90_683_648


def test_the_base_size_is_the_published_one():
    # 11.36 M: arXiv 2410.15765.
    assert published_count("base") == 11_359_568
    assert abs(published_count("base") / 11.36e6 - 1) < 1e-4


# --- what a token is ------------------------------------------------------------------------------


def test_a_token_sees_seven_samples_about_its_first(model):
    grid = grid_of(model, make_batch(num_windows=1))
    waveform = grid.waveform.clone().requires_grad_()
    tokens, _ = model.embed(
        TokenGrid(waveform, grid.observed, grid.sample_observed, grid.token_time_s, grid.token_observed)
    )
    (gradient,) = torch.autograd.grad(tokens[0, 50].square().sum(), waveform)
    assert gradient[0].abs().sum(dim=0).nonzero().flatten().tolist() == list(range(197, 204))


def test_no_sample_at_the_windows_end_is_lost(model):
    features = model(make_batch(num_samples=3001))
    assert features.tokens.shape[1] == 751
    assert features.sample_observed[:, 3000].all() and not features.sample_observed[:, 3001:].any()


def test_the_skip_is_the_waveform_with_a_learned_value_where_it_is_missing():
    model = new_model()
    with torch.no_grad():
        model.missing.value.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    batch = make_batch(num_samples=1200)
    prepared = model.prepare(batch)
    (skip,) = model(batch).skips
    assert torch.equal(skip[:, :3], prepared.waveform[:, :3])
    assert torch.equal(skip[:, 3], torch.full_like(skip[:, 3], 4.0))


# --- positions and masks -----------------------------------------------------------------------------


def test_what_pads_a_window_changes_nothing(model):
    tokens = torch.randn(2, 60, 32, generator=torch.Generator().manual_seed(0))
    time_s = torch.arange(80).expand(2, -1) * 0.04
    observed = torch.ones(2, 60, dtype=torch.bool)
    alone = model.contextualize(tokens, time_s[:, :60], observed)
    padding = torch.randn(2, 20, 32, generator=torch.Generator().manual_seed(1))
    padded = model.contextualize(
        torch.cat((tokens, padding), dim=1), time_s, torch.cat((observed, torch.zeros(2, 20) > 0), dim=1)
    )
    torch.testing.assert_close(padded[:, :60], alone, atol=1e-5, rtol=1e-5)


def test_a_token_without_data_comes_out_as_its_place_suggests(model):
    tokens = torch.randn(1, 60, 32, generator=torch.Generator().manual_seed(0))
    observed = torch.ones(1, 60, dtype=torch.bool)
    observed[:, 20:24] = False
    time_s = torch.arange(60)[None] * 0.04
    answer = model.contextualize(tokens, time_s, observed)
    garbage = torch.where(observed[..., None], tokens, 1e3)
    assert torch.equal(model.contextualize(garbage, time_s, observed), answer)
    # Between different neighbours, hidden tokens differ; so they can be told apart.
    guesses = answer[0, 20:24]
    assert (guesses[1:] - guesses[:-1]).norm(dim=-1).min() > 1e-3 * guesses.norm(dim=-1).mean()


def test_every_tap_of_the_positional_kernel_has_the_length_it_is_given():
    torch.manual_seed(0)
    conv = PositionalConv(32, 16, 4)
    conv.init_weights()
    with torch.no_grad():
        conv.length.copy_(torch.arange(1.0, 17.0))
        conv.mask_token.zero_()
        impulse = torch.zeros(1, 64, 32)
        impulse[0, 32, 0] = 1e-3  # where GELU is a straight line of slope one half
        answer = 2 * (conv(impulse, torch.ones(1, 64, dtype=torch.bool)) - impulse)[0] / 1e-3
        weight = conv.direction[:8, 0] / conv.direction.flatten(0, 1).norm(dim=0) * conv.length
    # A tap k of a kernel of 16 brings token i + k − 8 to token i.
    torch.testing.assert_close(answer[25:41, :8].T.flip(1), weight, atol=5e-3, rtol=1e-2)
    assert answer[:25].abs().max() == 0 == answer[41:].abs().max()


def test_weights_begin_as_those_of_a_plain_convolution():
    torch.manual_seed(0)
    conv = PositionalConv(64, 32, 4)
    conv.init_weights()
    lengths = conv.direction.flatten(0, 1).norm(dim=0)
    assert (lengths / conv.length - 1).abs().max() < 0.1
    assert conv.bias.abs().max() == 0 and 0 <= conv.mask_token.min() < conv.mask_token.max() <= 1


# --- training --------------------------------------------------------------------------------------


def test_its_own_objective_is_learned_and_reaches_every_parameter():
    model, batch = new_model(), make_batch(num_windows=4, num_samples=1200)
    # Quicker than in a long run: few negatives, no other windows.
    settings = {"num_negatives": 10, "other_windows_share": 0.0, "quantizer": {"dim": 16, "codes": 8}}
    pretraining = Pretraining(model, {"wav2vec2": make_objective("wav2vec2", settings, model)}, {}).train()
    optimizer = torch.optim.AdamW(pretraining.parameters(), lr=3e-3, weight_decay=0.0)
    losses = []
    for _ in range(40):
        loss, _ = pretraining(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.97 * sum(losses[:5])
    silent = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert all(name.startswith("pooling.") for name in silent), silent


def test_bfloat16_gives_nearly_the_same_tokens(model):
    batch = make_batch()
    with torch.no_grad():
        exact = model(batch).tokens
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = model(batch).tokens
    assert (rough.float() - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stem_channels": [16]}, r"stem_channels must be 2 numbers, found \[16\]"),
        ({"hidden_size": 30}, "hidden_size must be a multiple of the 4 position_groups, found 30"),
        ({"num_attention_heads": 5}, "a multiple of its 5 attention heads, found 32"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SeisLMModel(SeisLMConfig.of_size("base", InputContract(), **SMALL | settings))
