"""PRIME: its published size, task tokens that stay apart from those of the waveform, and its positions."""

import itertools

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.prime import PrimeConfig, PrimeModel
from seisfm.foundation.contract import InputContract
from seisfm.foundation.token_grid import TokenGrid
from torch import nn

SMALL = {
    "channels": [4, 8, 8, 16, 16, 32],
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def new_model(seed=0, **settings):
    torch.manual_seed(seed)
    return PrimeModel(PrimeConfig.of_size("tinny", InputContract(), **SMALL | settings)).eval()


@pytest.fixture(scope="module")
def model():
    return new_model()


def make_batch(num_windows=2, num_samples=1280, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return WaveformBatch(
        waveform=torch.randn(num_windows, 3, num_samples, generator=generator),
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * num_windows,
    )


def grid_of(model, batch):
    return TokenGrid.of(model.prepare(batch), 64, 100.0, torch.float32)


# --- size -----------------------------------------------------------------------------------------


def transposed_decoder(channels, outputs):
    """A decoder that is the way down upside down: transposed convolutions of kernel 5, batch norm between."""
    widths = [*reversed(channels), outputs]
    kernels = sum(5 * below * above + above for below, above in itertools.pairwise(widths))
    return kernels + sum(2 * above for above in widths[1:-1])


@pytest.mark.parametrize(("size", "published"), [("middle", 207.7e6 / 4), ("tinny", 34.4e6 / 4)])
def test_both_sizes_are_those_of_the_published_files(size, published):
    # Sizes of the published files in bytes (SeismicXM's repository), four for each parameter.
    with torch.device("meta"):
        model = PrimeModel(PrimeConfig.of_size(size, InputContract(components=("Z", "N", "E"))))
    backbone = sum(
        p.numel() for name, p in model.named_parameters() if not name.startswith(("pooling.", "missing."))
    )
    # Phases (noise, Pg, Sg, Pn, Sn), waveform (3) and polarity (2); then event type (8), magnitude, distance,
    # depth and origin.
    dense = sum(transposed_decoder(model.config.channels, outputs) for outputs in (5, 3, 2))
    linear = (8 + 1 + 1 + 1 + 1) * (model.config.channels[-1] + 1)
    assert abs((backbone + dense + linear) / published - 1) < 0.02


# --- task tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 3, 20, 39])
def test_the_tokens_are_those_of_the_waveform_in_their_order(model, place):
    """Published code takes the six tokens in front for the task tokens; all others are then 3.84 s late."""
    generator = torch.Generator().manual_seed(place)
    tokens, observed = torch.randn(8, 40, 32, generator=generator), torch.ones(8, 40, dtype=torch.bool)
    other, time_s = tokens.clone(), torch.arange(40).expand(8, -1) * 0.64
    other[:, place] += 3 * torch.randn(8, 32, generator=generator)
    with torch.no_grad():
        before, after = (model.contextualize(seen, time_s, observed) for seen in (tokens, other))
    assert before.shape == tokens.shape
    assert (after - before).norm(dim=-1).argmax(dim=1).tolist() == [place] * 8


def test_what_is_read_is_what_the_contextualized_tokens_are(model):
    grid = grid_of(model, make_batch())
    with torch.no_grad():
        tokens, skips = model.embed(grid)
        expected = model.contextualize(tokens, grid.token_time_s, grid.token_observed)
        read, read_skips = model.read(grid)
    assert torch.equal(read, expected) and all(map(torch.equal, skips, read_skips))
    assert [skip.shape[-1] for skip in skips] == [640, 320]


def test_the_summary_is_made_of_the_task_tokens_alone(model):
    batch = make_batch()
    grid, prepared = grid_of(model, batch), model.prepare(batch)
    with torch.no_grad():
        tokens, _, tasks = model.read_with_summary(grid)
        features = model(batch)
        everyone = torch.ones(2, 6, dtype=torch.bool)
        assert tasks.shape == (2, 6, 32) and tokens.shape == features.tokens.shape == (2, 20, 32)
        assert torch.equal(features.tokens, tokens)
        assert torch.equal(features.pooled, model.pooling(tasks, everyone, prepared))


def test_task_tokens_know_the_window_and_the_window_knows_them():
    model, grid = new_model(), grid_of(new_model(), make_batch())
    with torch.no_grad():
        tokens, tasks = model.contextualize_with_tasks(model.embed(grid)[0], grid.token_observed)
        model.task_tokens.embedding[0] += 1.0
        others, _ = model.contextualize_with_tasks(model.embed(grid)[0], grid.token_observed)
    assert not torch.allclose(tasks[0], tasks[1], atol=1e-4)
    assert not torch.allclose(tasks[:, :1], tasks[:, 1:2], atol=1e-4)
    assert not torch.allclose(tokens, others, atol=1e-5)


def test_nothing_but_position_carries_over_from_a_token_without_data(model):
    tokens = torch.randn(1, 20, 32, generator=torch.Generator().manual_seed(0))
    observed = torch.ones(1, 20, dtype=torch.bool)
    observed[:, 8:] = False
    attended = model.task_tokens(tokens, observed)
    other = attended[0].clone()
    other[:, 8:20] = 1e2
    with torch.no_grad():
        before, after = model.encoder(*attended), model.encoder(other, attended[1])
    assert torch.equal(before[:, :8], after[:, :8]) and torch.equal(before[:, 20:], after[:, 20:])


# --- positions ------------------------------------------------------------------------------------


def test_equal_tokens_are_told_apart_by_their_distance_to_both_ends(model):
    same = torch.ones(1, 16, 32)
    with torch.no_grad():
        answer = model.contextualize(same, torch.arange(16)[None] * 0.64, torch.ones(1, 16) > 0)
    distance = torch.cdist(answer[0], answer[0]) + torch.eye(16)
    assert distance.min() > 1e-5


# --- training -------------------------------------------------------------------------------------


def test_a_window_without_data_leaves_a_training_step_finite():
    model, batch = new_model().train(), make_batch()
    waveform = batch.waveform.clone()
    waveform[0] = torch.nan
    features = model(batch.replace(waveform=waveform))
    (features.tokens.square().mean() + features.pooled.square().mean()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert model.task_tokens.embedding.grad.abs().sum(dim=1).min() > 0
    assert all(buffer.isfinite().all() for buffer in model.buffers())


def test_bfloat16_gives_nearly_the_same_tokens(model):
    batch = make_batch()
    with torch.no_grad():
        exact = model(batch).tokens
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = model(batch).tokens
    assert (rough.float() - exact).norm() < 0.05 * exact.norm()


def test_the_recurrence_begins_within_its_usual_bounds(model):
    bound = 32**-0.5
    for parameter in model.position.lstm.parameters():
        assert 0.8 * bound < parameter.abs().max() <= bound
    assert isinstance(model.stem[0].norm, nn.BatchNorm1d)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": [8, 16]}, r"channels must be 6 numbers, found \[8, 16\]"),
        ({"num_task_tokens": 0}, "num_task_tokens must be at least 1, found 0"),
        ({"num_attention_heads": 5}, "a multiple of its 5 attention heads, found 32"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        new_model(**settings)
