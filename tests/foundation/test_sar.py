"""SAR as a backbone: the published layout, and frames that lie where their steps are."""

import dataclasses

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.sar import SARConfig, SARModel, StepAttention
from seisfm.foundation.contract import InputContract
from seisfm.foundation.token_grid import TokenGrid
from transformers import AutoModel


@pytest.fixture(scope="module")
def model() -> SARModel:
    torch.manual_seed(0)
    contract = InputContract(components=("Z", "N", "E"))
    return SARModel(SARConfig.of_size("original", contract)).eval()


def make_batch(num_windows=2, duration_s=12.0, components="ZNE", seed=0) -> WaveformBatch:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_windows, len(components), round(duration_s * 100))
    return WaveformBatch(
        waveform=torch.randn(shape, generator=generator),
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=tuple(components),
        unit=("counts",) * num_windows,
    )


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_it_has_the_published_number_of_parameters(model):
    output_layer = 3 * 256 + 3  # each step to noise, P and S
    assert count(model) - count(model.pooling) - count(model.missing) + output_layer == 775_427


def test_each_frame_lies_around_its_step(model):
    waveform = torch.zeros(1, 3, 400)
    waveform[:, 0, 205] = 1.0
    observed = torch.ones_like(waveform, dtype=torch.bool)
    grid = TokenGrid(waveform, observed, observed.any(1), torch.zeros(1, 20), torch.ones(1, 20).bool())
    with torch.no_grad():
        frames = model.frames(grid).unflatten(-1, (3, 50))
    assert frames.shape == (1, 40, 3, 50)
    place = frames[0, 4:-4, 0].nonzero().tolist()
    # Step 20 (16 of these) begins at sample 200; its frame begins 20 samples earlier.
    assert place == [[14, 45], [15, 35], [16, 25], [17, 15], [18, 5]]


def test_both_ends_of_a_window_are_missing_not_zero(model):
    waveform = torch.zeros(1, 3, 40)
    observed = torch.ones_like(waveform, dtype=torch.bool)
    grid = TokenGrid(waveform, observed, observed.any(1), torch.zeros(1, 2), torch.ones(1, 2).bool())
    with torch.no_grad():
        first, last = model.frames(grid).unflatten(-1, (3, 50))[0, [0, -1]]
    assert bool((first[:, :20] == model.missing.value[:, None]).all()) and not first[:, 20:].any()
    assert bool((last[:, 30:] == model.missing.value[:, None]).all()) and not last[:, :30].any()


@pytest.mark.parametrize("duration_s", [10.0, 33.3])
def test_tokens_are_two_steps_and_there_is_no_skip(model, duration_s):
    with torch.no_grad():
        features = model(make_batch(duration_s=duration_s))
    assert features.tokens.shape == (2, -(-round(duration_s * 100) // 20), 2 * 256)
    assert features.skips == () and model.feature_spec.skip_strides == ()


def test_saved_and_loaded_gives_the_same_bits(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, SARModel)
    with torch.no_grad():
        assert torch.equal(model(make_batch()).tokens, loaded(make_batch()).tokens)


def test_a_missing_component_is_not_a_zero(model):
    batch = make_batch()
    absent = batch.waveform.clone()
    absent[:, 1] = torch.nan
    prepared = model.prepare(batch.replace(waveform=absent, observed=absent.isfinite()))
    told = TokenGrid.of(prepared, 20, 100.0, torch.float32)
    untold = dataclasses.replace(told, observed=torch.ones_like(told.observed))
    with torch.no_grad():
        difference = (model.read(told)[0] - model.read(untold)[0]).abs().max()
    assert float(difference) > 1e-4


def test_nobody_attends_to_an_unobserved_step_and_no_data_is_no_harm():
    torch.manual_seed(0)
    attention = StepAttention(8, 2)
    steps = torch.randn(2, 30, 8)
    observed = torch.ones(2, 30, dtype=torch.bool)
    observed[0, 10:20] = False
    changed = torch.where(observed[..., None], steps, steps - 5.0)
    with torch.no_grad():
        before, after = attention(steps, observed), attention(changed, observed)
        empty = attention(steps, torch.zeros_like(observed))
    assert torch.equal(before[observed], after[observed])
    assert bool(empty.isfinite().all())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_samples": 5}, "step_samples must be even .* found 5 and 50: other frames shift time"),
        ({"frame_samples": 55}, "larger by an even number, found 10 and 55"),
        ({"frame_samples": 8}, "larger by an even number, found 10 and 8"),
        ({"num_attention_heads": 3}, "must divide twice the hidden_size, found 3 and 128"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SARConfig.of_size("original", InputContract(), **settings)
