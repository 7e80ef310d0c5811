"""The plain masked-autoencoder transformer: its size, tokens of their own samples, positions in seconds."""

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.ditingmae import DiTingMAEConfig, DiTingMAEModel, time_waves
from seisfm.foundation.contract import InputContract
from seisfm.foundation.token_grid import TokenGrid

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def new_model(contract=None, **settings):
    torch.manual_seed(0)
    return DiTingMAEModel(DiTingMAEConfig.of_size("base", contract or InputContract(), **SMALL | settings))


@pytest.fixture(scope="module")
def model():
    return new_model().eval()


def make_batch(num_windows=2, num_samples=1280, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return WaveformBatch(
        waveform=torch.randn(num_windows, 3, num_samples, generator=generator),
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * num_windows,
    )


def test_its_size_is_the_one_published_digit():
    """0.1 B; the published description says no more. The decoder is that of He et al. 2022, 8 × 512."""
    with torch.device("meta"):
        model = DiTingMAEModel(DiTingMAEConfig.of_size("base", InputContract(components=("Z", "N", "E"))))
    backbone = sum(
        p.numel() for name, p in model.named_parameters() if not name.startswith(("pooling.", "missing."))
    )

    def block(dim, between):
        return 4 * (dim * dim + dim) + 2 * dim * between + between + dim + 2 * 2 * dim

    patch, norm = 3 * 16 * 768 + 768, 2 * 768
    assert backbone == patch + 12 * block(768, 3072) + norm == 85_093_632
    embed, mask_token, answer = 768 * 512 + 512, 512, 512 * 48 + 48
    with_decoder = backbone + embed + mask_token + 8 * block(512, 2048) + 2 * 512 + answer
    assert with_decoder == 110_732_592
    assert round(backbone / 1e9, 1) == round(with_decoder / 1e9, 1) == 0.1


def test_a_token_sees_its_own_samples_alone(model):
    prepared = model.prepare(make_batch(num_windows=1))
    grid = TokenGrid.of(prepared, 16, 100.0, torch.float32)
    changed = grid.waveform.clone()
    changed[..., 160:176] += 1.0
    with torch.no_grad():
        before, _ = model.embed(grid)
        after, _ = model.embed(
            TokenGrid(changed, grid.observed, grid.sample_observed, grid.token_time_s, grid.token_observed)
        )
    assert (before != after).any(dim=-1)[0].nonzero().flatten().tolist() == [10]


def test_hidden_tokens_cost_nothing_and_leave_the_others_as_if_they_had_no_data(model):
    batch = make_batch()
    hidden = torch.zeros(2, 80, dtype=torch.bool)
    hidden[0, 10:60] = hidden[1, 30:] = True
    with torch.no_grad():
        dropped = model(batch, hidden=hidden)
        kept = model(model.hide(batch, hidden))
    assert dropped.tokens.shape == (2, 30, 32) and kept.tokens.shape == (2, 80, 32)
    torch.testing.assert_close(dropped.tokens.flatten(0, 1), kept.tokens[~hidden], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(dropped.pooled, kept.pooled, atol=1e-5, rtol=1e-5)


def test_positions_are_seconds_at_any_rate_and_tell_all_tokens_of_300_s_apart():
    time_s = (torch.arange(1875)[None] + 0.5) * 0.16
    waves = time_waves(time_s, 64)
    coarse = time_waves(time_s[:, ::4], 64)
    assert torch.equal(waves[:, ::4], coarse)
    assert waves.abs().max() <= 1 and torch.allclose(waves.square().mean(dim=-1), torch.tensor(0.5))
    distance = torch.cdist(waves[0], waves[0]) + 9 * torch.eye(1875)
    assert distance.min() > 0.1


def test_the_order_of_equal_tokens_is_seen_by_their_times_alone(model):
    tokens = torch.randn(1, 20, 32, generator=torch.Generator().manual_seed(0))
    time_s, observed = torch.arange(20)[None] * 0.16, torch.ones(1, 20, dtype=torch.bool)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain = model.contextualize(tokens, time_s, observed)
        shuffled = model.contextualize(tokens[:, order], time_s[:, order], observed)
        moved = model.contextualize(tokens[:, order], time_s, observed)
    torch.testing.assert_close(shuffled, plain[:, order], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(moved, plain[:, order], atol=1e-3)


def test_at_50_hz_a_token_is_twice_as_long():
    model = new_model(InputContract(model_rate_hz=50.0)).eval()
    features = model(make_batch())
    assert features.tokens.shape[1] == 40
    assert torch.allclose(features.token_time_s[0, :2], torch.tensor([0.16, 0.48]))


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
        ({"hidden_size": 33}, "hidden_size must be even, found 33"),
        ({"num_attention_heads": 5}, "a multiple of its 5 attention heads, found 32"),
        ({"token_samples": 6}, "token_samples must be a multiple of 4, found 6"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        _ = new_model(**settings).feature_spec
