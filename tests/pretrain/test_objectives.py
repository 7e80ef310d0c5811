"""What every objective keeps: no leak, a loss that falls, nothing from nothing, means over windows."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from seisfm.data.loading.window_random import window_keys
from seisfm.foundation.backbones.base import TokenBackbone
from seisfm.foundation.backbones.registry import BACKBONES, backbone_config, make_backbone
from seisfm.foundation.contract import InputContract
from seisfm.foundation.optimizer import make_adamw
from seisfm.foundation.training import TrainingConfig, train
from seisfm.pretrain.objectives.registry import OBJECTIVES


def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).parent
ours = _module(HERE / "objective_settings.py")
TINY = _module(HERE.parent / "foundation" / "tiny_backbones.py").TINY
TOKEN_OBJECTIVES = ("wav2vec2",)


def test_every_objective_is_tested():
    assert set(ours.SETTINGS) == set(OBJECTIVES)


def other_hidden_samples(pretraining, batch, hidden):
    """The batch with something else at the hidden tokens; the input has the model's rate."""
    size = pretraining.model.feature_spec.token_samples
    gone = hidden.repeat_interleave(size, dim=1)[:, None, : batch.num_samples]
    generator = torch.Generator().manual_seed(9)
    other = 1e4 * torch.randn(batch.waveform.shape, generator=generator)
    return batch.replace(waveform=torch.where(gone & batch.observed, other, batch.waveform))


def tiny_backbone(name):
    torch.manual_seed(0)
    size = next(iter(BACKBONES[name][0].sizes))
    return make_backbone(backbone_config(name, size, InputContract(), dict(TINY[name])))


def assert_no_leak(name, pretraining):
    batch = ours.make_batch()
    objective, model = pretraining.objectives[name], pretraining.model
    hidden = objective.draw_mask(model, batch)
    other = other_hidden_samples(pretraining, batch, hidden)
    with torch.no_grad():
        seen, changed = (
            objective.look(model, model.prepare(model.hide(windows, hidden)), hidden)
            for windows in (batch, other)
        )
        losses = [objective.score(model, windows, hidden)[0] for windows in (batch, other)]
    for part in ("tokens", "pooled", "log_gain", "token_observed"):
        assert torch.equal(seen[part], changed[part]), part
    assert all(torch.equal(one, two) for one, two in zip(seen.skips, changed.skips, strict=True))
    # … while what is asked for is what was hidden.
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", ours.MASKED)
def test_hidden_samples_change_nothing_that_the_model_says(name):
    assert_no_leak(name, ours.make_pretraining(name))


@pytest.mark.parametrize("backbone", sorted(TINY))
def test_hidden_samples_change_nothing_that_any_backbone_says(backbone):
    if backbone not in BACKBONES:
        pytest.skip(f"{backbone} is not registered")
    model = tiny_backbone(backbone).eval()
    for name in ours.MASKED:
        if name not in TOKEN_OBJECTIVES or isinstance(model, TokenBackbone):
            assert_no_leak(name, ours.make_pretraining(name, model))


def losses_of(pretraining, batch, steps=50, learning_rate=2e-3):
    optimizer = make_adamw(pretraining, learning_rate=learning_rate, weight_decay=0.0, betas=(0.9, 0.95))
    losses = []
    for _ in range(steps):
        loss, _ = pretraining(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pretraining.after_update()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("name", ours.SETTINGS)
def test_the_loss_of_a_fixed_batch_falls_in_fifty_steps(name):
    # Four windows of a contrast stay undecided for a while, the longer the faster they learn.
    learning_rate = 5e-4 if name == "clip" else 2e-3
    losses = losses_of(ours.make_pretraining(name), ours.make_batch(), learning_rate=learning_rate)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5]), losses


@pytest.mark.slow
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@pytest.mark.parametrize("name", ours.SETTINGS)
def test_every_backbone_learns_from_every_objective_that_applies_to_it(name, backbone):
    model = tiny_backbone(backbone)
    if name in TOKEN_OBJECTIVES and not isinstance(model, TokenBackbone):
        with pytest.raises(ValueError, match=f"{type(model).__name__} does not keep apart"):
            ours.make_pretraining(name, model)
        return
    pretraining, batch = ours.make_pretraining(name, model), ours.make_batch()
    losses = losses_of(pretraining, batch)
    if name == "data2vec":
        # The targets change with the teacher: it is ignorance that must be beaten, not the first loss.
        assert losses[-1] < 0.95 * float(pretraining.trivial_losses(batch)["trivial_loss"]), losses
    else:
        assert sum(losses[-5:]) < sum(losses[:5]), losses


@pytest.mark.parametrize("name", ours.SETTINGS)
def test_windows_without_data_or_labels_teach_nothing(name):
    pretraining = ours.make_pretraining(name)
    loss, figures = pretraining(ours.without_data(ours.make_batch()))
    loss.backward()
    assert loss == 0 and all(value.isfinite().all() for value in figures.values())
    for parameter, value in pretraining.named_parameters():
        assert value.grad is None or not value.grad.any(), parameter


ALONE = {
    "mae": {"spectral_weight": 0.0},
    "wav2vec2": {"other_windows_share": 0.0, "diversity_weight": 0.0},
}
"""Settings under which no window meets another one, and all complete windows weigh the same."""


@pytest.mark.parametrize("name", ["mae", "wav2vec2", "data2vec", "supervised"])
def test_a_loss_is_the_mean_of_those_of_two_halves(name):
    pretraining = ours.make_pretraining(name, **ALONE.get(name, {})).eval()
    batch = ours.make_batch()
    waveform = torch.where(batch.observed, batch.waveform, 0.1 * torch.ones(1040).cumsum(0).sin())
    batch = batch.replace(waveform=waveform)
    halves = [batch.select(torch.tensor(half)) for half in ([0, 1], [2, 3])]
    with torch.no_grad():
        whole = pretraining(batch)[0]
        parts = [pretraining(half)[0] for half in halves]
    torch.testing.assert_close(whole, (parts[0] + parts[1]) / 2, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ours.SETTINGS)
def test_bfloat16_autocast_keeps_the_loss_in_float32(name):
    pretraining, batch = ours.make_pretraining(name).eval(), ours.make_batch()
    with torch.no_grad():
        full = pretraining(batch)[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = pretraining(batch)[0]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.03, rtol=0.05)


@pytest.mark.parametrize("name", ours.MASKED)
def test_masks_follow_the_windows_keys_and_differ_between_objectives(name):
    pretraining, batch = ours.make_pretraining(name), ours.make_batch()
    draw = pretraining.objectives[name].draw_mask
    mask = draw(pretraining.model, batch)
    torch.manual_seed(5)
    assert torch.equal(draw(pretraining.model, batch), mask)
    assert torch.equal(draw(pretraining.model, batch.select(torch.tensor([2])))[0], mask[2])
    other = batch.with_window_key(window_keys(torch.arange(4), 1))
    assert not torch.equal(draw(pretraining.model, other), mask)


@pytest.mark.parametrize("name", ours.MASKED)
def test_windows_without_keys_are_refused(name):
    with pytest.raises(ValueError, match="with_window_key"):
        ours.make_pretraining(name)(ours.make_batch().replace(window_key=None))


class Repeat:
    """Six batches in turn."""

    def batches(self, start):
        while True:
            yield ours.make_batch(num_windows=2, seed=start % 6)
            start += 1


class KilledError(Exception):
    pass


STATEFUL = ("wav2vec2", "data2vec")
"""Those that count updates or keep a teacher."""


@pytest.mark.parametrize(
    "name",
    [name if name in STATEFUL else pytest.param(name, marks=pytest.mark.slow) for name in ours.SETTINGS],
)
def test_a_run_that_was_broken_off_ends_with_the_same_bits(name, tmp_path):
    config = TrainingConfig(max_steps=5, batch_size=2, warmup_steps=1, ema_decay=0.9, checkpoint_every=2)

    def go_on(folder, die_at=None):
        pretraining = ours.make_pretraining(name)

        def on_step(step, _):
            pretraining.after_update()
            if step == die_at:
                raise KilledError

        train(pretraining, Repeat(), config, tmp_path / folder, on_step=on_step)

    go_on("whole")
    with pytest.raises(KilledError):
        go_on("broken", die_at=3)
    go_on("broken")
    for file in ("objective", "ema", "optimizer"):
        one, two = (
            load_file(tmp_path / folder / f"checkpoints/step-000005/{file}.safetensors")
            for folder in ("whole", "broken")
        )
        assert one.keys() == two.keys()
        assert all(torch.equal(tensor, two[key]) for key, tensor in one.items()), file
