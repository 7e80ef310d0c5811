"""What holds for every backbone: any input that its contract allows, the same bits from disk, training."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.window_random import window_keys
from seisfm.finetune.methods import MethodConfig, apply_method
from seisfm.foundation.backbones.registry import BACKBONES, backbone_config, make_backbone
from seisfm.foundation.contract import InputContract, PreparedInput
from seisfm.foundation.token_grid import TokenGrid
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel, load_model
from seisfm.pretrain.objectives.mae import MaskedAutoencoder, MaskedAutoencoderConfig
from seisfm.pretrain.pretraining import Pretraining
from torch import nn
from transformers import AutoModel

_spec = importlib.util.spec_from_file_location(
    "tiny_backbones", Path(__file__).with_name("tiny_backbones.py")
)
tiny_backbones = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_backbones)
TINY = tiny_backbones.TINY

UNMOVED = {"unet": 0.02, "ditingmae": 0.3, "prime": 0.3, "seismollm": 0.3, "sar": 0.3, "eqt": 0.3}
"""How much of the answer to a pulse may depend on where in the window it comes, where that is not nothing.

By norms over the whole window, recurrence, or absolute positions.
"""

RECURRENT = ("eqt", "sar")
"""Their skips have been through a recurrence, which is not the same in both directions of time."""

LEARNERS = [
    pytest.param(name, marks=[] if name in ("encoder", "unet", "seismollm") else [pytest.mark.slow])
    for name in sorted(BACKBONES)
]
"""One of each kind trains for 50 steps always; with `-m slow`, the others."""

COARSEST_STRIDE = 256
"""Samples per sample of the lowest level of any backbone, where it is coarser than its tokens."""


def new_backbone(name, seed=0):
    torch.manual_seed(seed)
    size = next(iter(BACKBONES[name][0].sizes))
    return make_backbone(backbone_config(name, size, InputContract(), TINY[name])).eval()


def new_picker(name):
    torch.manual_seed(0)
    size = next(iter(BACKBONES[name][0].sizes))
    encoder = backbone_config(name, size, InputContract(), TINY[name])
    heads = {"picking": {"channels": [4, 6, 8]}}
    return SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads=heads)).eval()


@pytest.fixture(scope="module", params=sorted(BACKBONES))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return new_backbone(name)


@pytest.fixture(scope="module")
def saved_picker(name, tmp_path_factory):
    """The folder of a picker after three steps of training, so that its buffers are its own."""
    picker, folder = new_picker(name), tmp_path_factory.mktemp("models") / name
    train(picker, picker.compute_loss, 3, with_arrivals(make_batch()))
    picker.eval().save_pretrained(folder)
    return folder


def make_batch(num_windows=3, duration_s=10.24, rate_hz=100.0, components="ZNE", seed=0):
    """Noise with a stronger end, in keyed windows."""
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(num_windows, len(components), round(duration_s * rate_hz), generator=generator)
    waveform[..., -waveform.shape[-1] // 3 :] *= 5
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.full((num_windows,), rate_hz),
        component_names=tuple(components),
        unit=("counts",) * num_windows,
        window_key=window_keys(torch.arange(num_windows), seed),
    )


def with_arrivals(batch):
    """P where the strong end begins, and S a second later."""
    p_arrival_s = 2 * batch.num_samples // 3 / batch.sampling_rate_hz[:, None]
    everywhere = torch.ones(len(batch), dtype=torch.bool)
    labels = {"p_arrival_s": p_arrival_s, "s_arrival_s": p_arrival_s + 1.0}
    return batch.replace(labels=labels | {"p_labelled": everywhere, "s_labelled": everywhere})


def with_gap(batch):
    """A gap in one window, one component less in another, and a third without any data."""
    waveform = batch.waveform.clone()
    waveform[0, :, 300:500] = torch.nan
    waveform[1, -1] = torch.nan
    waveform[2] = torch.nan
    return batch.replace(waveform=waveform)


def train(module, loss_of, steps, batch, learning_rate=3e-3):
    """The losses of some steps on one batch."""
    optimizer = torch.optim.AdamW(
        [p for p in module.parameters() if p.requires_grad], lr=learning_rate, weight_decay=0.0
    )
    module.train()
    losses = []
    for _ in range(steps):
        loss, _ = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def parts(features):
    return (features.tokens, features.pooled, *features.skips)


def test_each_backbone_is_tried_here():
    assert TINY.keys() == BACKBONES.keys(), "give each one that is added its entry in tiny_backbones.py"


# --- any input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration_s", "rate_hz", "components"),
    [(10.24, 100, "Z"), (15.01, 50, "ZNE"), (30, 100, "ZNEH"), (12.5, 62.5, "ZE")],
)
def test_any_rate_length_and_components(model, duration_s, rate_hz, components):
    with torch.no_grad():
        features = model(make_batch(duration_s=duration_s, rate_hz=rate_hz, components=components))
    spec = model.feature_spec
    assert features.num_samples == math.ceil(round(duration_s * rate_hz) * 100 / rate_hz)
    num_tokens = math.ceil(features.num_samples / spec.token_samples)
    assert features.tokens.shape == (3, num_tokens, spec.dim)
    assert features.token_time_s.shape == features.token_observed.shape == (3, num_tokens)
    assert features.pooled.shape == (3, spec.dim)
    assert features.sample_observed.shape == (3, num_tokens * spec.token_samples)
    expected = zip(spec.skip_channels, spec.skip_strides, strict=True)
    assert [tuple(skip.shape[1:]) for skip in features.skips] == [
        (channels, num_tokens * spec.token_samples // stride) for channels, stride in expected
    ]
    assert all(bool(part.isfinite().all()) for part in parts(features))


def test_gaps_missing_components_and_empty_windows_stay_finite(model):
    batch = with_gap(make_batch())
    with torch.no_grad():
        features = model(batch)
    assert all(bool(part.isfinite().all()) for part in parts(features))
    assert not features.token_observed[2].any() and features.token_observed[:2].any(dim=1).all()


def test_a_windows_answer_does_not_depend_on_its_company(model):
    batch = with_gap(make_batch())
    with torch.no_grad():
        together = model(batch)
        alone = [model(batch.select(torch.tensor([i]))) for i in range(len(batch))]
    for whole, single in zip(parts(together), zip(*map(parts, alone), strict=True), strict=True):
        assert (whole - torch.cat(single)).abs().max() < 1e-5 * whole.abs().max()


def test_a_missing_component_is_told_from_a_zero(model):
    prepared = prepared_noise(model)
    prepared.waveform[:, 1] = 0
    observed = prepared.observed.clone()
    observed[:, 1] = False
    with torch.no_grad():
        zero, missing = (read(model, prepared.waveform, seen) for seen in (prepared.observed, observed))
    assert not torch.allclose(zero[0], missing[0], atol=1e-5)


def test_hidden_samples_change_nothing_that_the_encoder_says(model):
    batch = with_gap(make_batch())
    hidden = torch.zeros(len(batch), model.num_tokens(batch), dtype=torch.bool)
    hidden[:, 1::2] = True
    size = model.feature_spec.token_samples
    gone = hidden.repeat_interleave(size, dim=1)[:, None, : batch.num_samples].expand_as(batch.waveform)
    other = torch.where(gone & batch.observed, -1e3 * batch.waveform, batch.waveform)
    with torch.no_grad():
        features, changed = model(batch, hidden=hidden), model(batch.replace(waveform=other), hidden=hidden)
    assert all(map(torch.equal, parts(features), parts(changed)))


# --- time --------------------------------------------------------------------------------------------


def prepared_noise(model, num_samples=1536):
    """What the network sees of one window of noise, all of it observed, past the contract."""
    shape = (1, len(model.contract.components), num_samples)
    return PreparedInput(
        waveform=torch.randn(shape, generator=torch.Generator().manual_seed(0)),
        observed=torch.ones(shape, dtype=torch.bool),
        log_gain=torch.zeros(1),
        unit_index=torch.zeros(1, dtype=torch.int64),
        scale=torch.ones(1, shape[1], 1),
        num_samples=num_samples,
    )


def read(model, waveform, observed):
    """Tokens `(window, channel, token)` and skips of a waveform, past the contract."""
    prepared = PreparedInput(
        waveform=waveform,
        observed=observed,
        log_gain=torch.zeros(1),
        unit_index=torch.zeros(1, dtype=torch.int64),
        scale=torch.ones(1, waveform.shape[1], 1),
        num_samples=waveform.shape[-1],
    )
    grid = TokenGrid.of(prepared, model.feature_spec.token_samples, 100.0, torch.float32)
    tokens, skips = model.read(grid)
    return (tokens.transpose(1, 2), *skips)


def responses(model, at_sample, num_samples):
    """How much tokens and skips `(sample,)` change where a short pulse is laid over zeros."""
    quiet = torch.zeros(1, len(model.contract.components), num_samples)
    pulse = quiet.clone()
    pulse[..., at_sample - 2 : at_sample + 3] = torch.tensor([1.0, -3.0, 4.0, -3.0, 1.0])
    observed = torch.ones_like(quiet, dtype=torch.bool)
    with torch.no_grad():
        changes = zip(read(model, quiet, observed), read(model, pulse, observed), strict=True)
        return [(after - before)[0].norm(dim=0) for before, after in changes]


def test_a_later_pulse_is_answered_later_by_as_much(name, model):
    size = model.feature_spec.token_samples
    step = math.lcm(size, COARSEST_STRIDE)
    at_sample, num_samples = 4 * step + size // 2, 9 * step
    here, later = (responses(model, at, num_samples) for at in (at_sample, at_sample + step))
    for stride, before, after in zip((size, *model.feature_spec.skip_strides), here, later, strict=True):
        # Away from the edges, which only what attends to everything feels here.
        inner = slice(2 * step // stride, 6 * step // stride)
        moved = after[step // stride :] - before[: -step // stride]
        assert moved[inner].norm() < UNMOVED.get(name, 1e-3) * before.norm(), f"stride {stride}"


def test_the_answer_of_symmetric_kernels_is_symmetric_about_the_pulse(name):
    """What is centred stays centred: strides, kernels, and interpolation on the way up."""
    model = new_backbone(name)
    if name in RECURRENT:
        pytest.skip(f"{name} is recurrent")
    for conv in (module for module in model.modules() if isinstance(module, nn.Conv1d)):
        conv.weight.data = conv.weight.data + conv.weight.data.flip(-1)
    at_sample = 4 * math.lcm(model.feature_spec.token_samples, COARSEST_STRIDE)
    _, *skips = responses(model, at_sample, 2 * at_sample)
    for stride, answer in zip(model.feature_spec.skip_strides, skips, strict=True):
        reach = at_sample // 2 // stride
        before, after = answer[at_sample // stride - reach :][: reach + 1], answer[at_sample // stride :]
        assert (before.flip(0) - after[: reach + 1]).norm() < 2e-3 * before.norm(), f"stride {stride}"


def test_tokens_answer_a_pulse_where_it_is(name, model):
    """On average over random weights: each network by itself looks a little more to one side."""
    size, at_sample = model.feature_spec.token_samples, 8 * COARSEST_STRIDE
    answers = [responses(new_backbone(name, seed), at_sample, 2 * at_sample)[0] for seed in range(6)]
    energy = sum((answer / answer.max()) ** 4 for answer in answers)
    centre = (energy * torch.arange(len(energy))).sum() / energy.sum() * size
    assert abs(float(centre) - at_sample) <= max(size, 64)


# --- on disk -----------------------------------------------------------------------------------------


def test_saved_and_loaded_gives_the_same_bits(saved_picker, name):
    picker = new_picker(name)
    train(picker, picker.compute_loss, 3, with_arrivals(make_batch()))
    loaded = load_model(saved_picker)
    state, reloaded = picker.state_dict(), loaded.state_dict()
    assert state.keys() == reloaded.keys()
    assert all(torch.equal(tensor, reloaded[key]) for key, tensor in state.items())
    batch = with_gap(make_batch())
    with torch.no_grad():
        before, after = picker.eval()(batch)["picking"], loaded(batch)["picking"]
    assert torch.equal(before["probability"], after["probability"])


def test_the_backbone_alone_is_saved_and_loaded_too(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    buffers = dict(model.named_buffers())
    assert buffers.keys() == dict(loaded.named_buffers()).keys()
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in loaded.named_buffers())
    with torch.no_grad():
        assert all(map(torch.equal, parts(model(make_batch())), parts(loaded(make_batch()))))


# --- training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS, indirect=True)
def test_a_masked_autoencoder_learns_in_50_steps(name):
    model = new_backbone(name)
    objective = MaskedAutoencoder(
        model, MaskedAutoencoderConfig(decoder_size=32, decoder_layers=1, decoder_heads=2)
    )
    pretraining = Pretraining(model, {"mae": objective}, {})
    losses = train(pretraining, pretraining, 50, make_batch())
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


@pytest.mark.parametrize("name", LEARNERS, indirect=True)
def test_a_picker_learns_in_50_steps(name):
    picker = new_picker(name)
    losses = train(picker, picker.compute_loss, 50, with_arrivals(make_batch()))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_an_adapter_changes_the_prediction_and_nothing_of_the_base(name):
    picker, batch = new_picker(name), with_arrivals(make_batch())
    tunable = apply_method(picker, MethodConfig(kind="lora", rank=2))
    frozen = {key: p.clone() for key, p in picker.named_parameters() if not p.requires_grad}
    adapters = {key: p for key, p in picker.named_parameters() if "lora_B" in key}
    assert adapters and all(key.startswith("encoder.") for key in adapters)
    with torch.no_grad():
        before = picker.eval()(batch)["picking"]["probability"]
        for parameter in adapters.values():
            parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
        assert not torch.equal(picker(batch)["picking"]["probability"], before)
    train(tunable.model, tunable.model.compute_loss, 1, batch)
    assert all(torch.equal(p, frozen[key]) for key, p in picker.named_parameters() if key in frozen)
    assert all(p.grad is not None for p in adapters.values())


def test_gradient_checkpointing_changes_no_gradient_and_no_buffer(name):
    picker, other, batch = new_picker(name), new_picker(name), with_arrivals(make_batch())
    if not picker.encoder.supports_gradient_checkpointing:
        pytest.skip(f"{name} has no transformer blocks")
    other.activation_checkpointing_enable({"use_reentrant": False})
    for one in (picker, other):
        torch.manual_seed(0)
        one.train().compute_loss(batch)[0].backward()
    gradients = dict(picker.named_parameters())
    for key, parameter in other.named_parameters():
        if gradients[key].grad is None:
            assert parameter.grad is None, key
        else:
            assert torch.allclose(parameter.grad, gradients[key].grad, atol=1e-6), key
    buffers = dict(picker.named_buffers())
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in other.named_buffers())
