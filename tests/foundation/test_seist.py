"""SeisT: the published numbers of parameters, attention to what is observed alone, and published weights."""

import pickle

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.seist import STAGE_STRIDES, SeisTConfig, SeisTModel, up_channels
from seisfm.foundation.backbones.seist_parts import (
    DropPath,
    PooledAttention,
    attention_channels,
    observed_means,
)
from seisfm.foundation.backbones.seist_weights import (
    WeightsError,
    convert_seist,
    published_contract,
    published_name,
)
from seisfm.foundation.contract import InputContract
from torch import nn
from transformers import AutoModel

THREE = InputContract(components=("Z", "N", "E"))


def new_seist(size="small", contract=THREE):
    torch.manual_seed(0)
    return SeisTModel(SeisTConfig.of_size(size, contract)).eval()


def make_batch(num_samples=2048, seed=0):
    return WaveformBatch(
        waveform=torch.randn(2, 3, num_samples, generator=torch.Generator().manual_seed(seed)),
        sampling_rate_hz=torch.full((2,), 50.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * 2,
    )


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(
    ("size", "picking_thousands", "other_thousands"),
    [("small", 126, 98), ("medium", 381, 312), ("large", 662, 529)],
)
def test_as_many_parameters_as_published(size, picking_thousands, other_thousands):
    """Published for SeisT-S, -M and -L in picking, and in the tasks with one answer a window."""
    with torch.device("meta"):
        model = SeisTModel(SeisTConfig.of_size(size, THREE))
    down, dim = count(model.stem, model.stages), model.feature_spec.dim
    # The published output layers: 16 channels to detection, P and S by a kernel of 7; or pooled to 2 classes.
    picking = down + count(model.up) + (16 * 3 * 7 + 3)
    other = down + (dim * 2 + 2)
    assert picking == pytest.approx(1000 * picking_thousands, rel=0.02)
    assert other == pytest.approx(1000 * other_thousands, rel=0.02)
    assert count(model) == down + count(model.up, model.missing, model.pooling)


def test_the_sizes_exactly():
    """So that a change of the architecture is seen."""
    with torch.device("meta"):
        models = [SeisTModel(SeisTConfig.of_size(size, THREE)) for size in SeisTConfig.sizes]
    assert [count(m.stem, m.stages) for m in models] == [97_967, 307_759, 534_511]
    assert [count(m.up) for m in models] == [28_016, 69_328, 135_520]


def test_attention_sees_observed_samples_alone():
    torch.manual_seed(0)
    attention = PooledAttention(channels=8, head_dim=4, pooling=4)
    features, observed = torch.randn(2, 8, 32), torch.ones(2, 32, dtype=torch.bool)
    observed[0, 5:14] = False
    other = torch.where(observed[:, None], features, 1e3 * torch.randn(2, 8, 32))
    with torch.no_grad():
        before, after = attention(features, observed), attention(other, observed)
    assert torch.equal(before.transpose(1, 2)[observed], after.transpose(1, 2)[observed])


def test_keys_are_means_of_what_is_observed():
    samples = torch.arange(8.0).reshape(1, 8, 1)
    observed = torch.tensor([[True, False, True, True, False, False, False, False]])
    means, visible = observed_means(samples, observed, 4)
    assert torch.equal(means[0, :, 0], torch.tensor([5 / 3, 0.0]))
    assert visible.tolist() == [[True, False]]
    assert observed_means(samples, torch.zeros_like(observed), 4)[1].all(), "an empty window stays finite"


def test_tokens_of_every_stage_know_the_whole_window():
    model = new_seist()
    batch = make_batch(num_samples=4096)
    changed = batch.waveform.clone()
    changed[..., -40:] *= -1
    with torch.no_grad():
        moved = (model(batch).tokens - model(batch.replace(waveform=changed)).tokens).abs().amax(dim=-1)
    assert bool((moved > 0).all())


def test_branches_are_left_out_in_training_alone_and_keep_their_mean():
    torch.manual_seed(0)
    drop, ones = DropPath(0.25), torch.ones(4000, 2, 3)
    dropped = drop(ones)
    assert dropped.mean() == pytest.approx(1, abs=0.05)
    assert {round(float(value), 4) for value in dropped.unique()} == {0.0, 1.3333}
    assert bool((dropped == dropped[:, :1, :1]).all()), "whole windows"
    assert torch.equal(drop.eval()(ones), ones)


def test_the_share_of_attention_is_whole_heads():
    shares = {size: settings["channels"] for size, settings in SeisTConfig.sizes.items()}
    heads = SeisTConfig.of_size("large", THREE).head_dims
    attended = [[attention_channels(*pair) for pair in zip(c, heads, strict=True)] for c in shares.values()]
    assert attended == [[8, 16, 16, 32], [16, 16, 32, 64], [16, 16, 32, 64]]


def test_every_parameter_learns():
    model = new_seist().train()
    features = model(make_batch())
    (features.pooled.sum() + features.tokens.square().sum() + features.skips[0].square().sum()).backward()
    silent = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # Everything is observed here; the pooling's query begins near to zero, and its key with it.
    assert silent <= {"missing.value"}


def test_no_layer_of_attention_has_a_batch_norm_inside_that_checkpointing_would_count_twice():
    for module in new_seist().modules():
        if hasattr(module, "gradient_checkpointing") and not isinstance(module, SeisTModel):
            assert not any(isinstance(part, nn.BatchNorm1d) for part in module.modules())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": [16, 24]}, r"channels must be 4 positive numbers, found \[16, 24\]"),
        ({"num_attention_blocks": [1, 1, 1, 5]}, r"must be 0 to num_blocks \[2, 2, 3, 2\] each, found"),
        ({"kernel_sizes": [4, 7]}, "must be odd, found .* even ones shift time"),
        ({"channels": [16, 20, 32, 64]}, "a stage of 20 channels with heads of 8 cannot be cut into groups"),
        ({"drop_path": 1.0}, "drop_path must be 0 to below 1, found 1.0"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SeisTConfig.of_size("small", THREE, **settings)


# --- published weights, in the layout that is assumed ------------------------------------------------


def published_state(seed=1, dense=True):
    """A state as the published files are assumed to hold: their names, and 1 × 1 convolutions as such."""
    torch.manual_seed(seed)
    model = SeisTModel(SeisTConfig.of_size("small", published_contract()))
    model.train()(make_batch())  # running statistics that are not those of a new one
    state = {}
    for name, tensor in model.state_dict().items():
        if name.startswith(("missing.", "pooling.")) or (name.startswith("up.") and not dense):
            continue
        linear = tensor.ndim == 2
        state[published_name(name)] = tensor[..., None].clone() if linear else tensor.clone()
    output = "out_head.out_conv" if dense else "out_head.linear"
    state[f"{output}.weight"] = torch.randn(3, 16, 7) if dense else torch.randn(2, 64)
    return state, model.eval()


@pytest.mark.parametrize("wrapped", [False, True])
def test_published_weights_are_converted(tmp_path, wrapped):
    state, original = published_state()
    content = {"epoch": 3, "model_dict": {f"module.{k}": v for k, v in state.items()}} if wrapped else state
    torch.save(content, tmp_path / "seist_s_dpk.pth")
    converted = convert_seist(tmp_path / "seist_s_dpk.pth", "small")
    assert converted.unused == ("out_head.out_conv.weight",)
    assert all(name.startswith(("missing.", "pooling.")) for name in converted.untrained)
    batch = make_batch()
    original.missing.value.data.zero_()
    with torch.no_grad():
        before, after = original(batch), converted.model(batch)
    assert torch.equal(before.tokens, after.tokens) and torch.equal(before.skips[0], after.skips[0])


def test_a_converted_model_is_saved_and_loaded_as_any_other(tmp_path):
    torch.save(published_state()[0], tmp_path / "seist.pth")
    converted = convert_seist(tmp_path / "seist.pth", "small").model
    converted.save_pretrained(tmp_path / "model")
    loaded = AutoModel.from_pretrained(tmp_path / "model")
    assert loaded.contract == published_contract()
    with torch.no_grad():
        assert torch.equal(loaded(make_batch()).tokens, converted(make_batch()).tokens)


def test_the_file_of_another_task_leaves_the_way_up_untrained_and_says_so(tmp_path):
    torch.save(published_state(dense=False)[0], tmp_path / "seist_s_pmp.pth")
    with pytest.raises(
        WeightsError, match=r"missing: out_head\.up_layers\.0\.conv\.weight \(our up\.0\.conv"
    ):
        convert_seist(tmp_path / "seist_s_pmp.pth", "small")
    converted = convert_seist(tmp_path / "seist_s_pmp.pth", "small", dense=False)
    assert "up.0.conv.weight" in converted.untrained and "up.5.norm.running_mean" in converted.untrained


def test_what_is_missing_left_over_or_of_another_shape_is_told(tmp_path):
    state, _ = published_state()
    state["stem.0.conv_of_another_layout.weight"] = state.pop("stem.0.proj.weight")
    state["stages.0.laa.norm.bias"] = torch.zeros(17)
    torch.save(state, tmp_path / "seist.pth")
    with pytest.raises(WeightsError) as error:
        convert_seist(tmp_path / "seist.pth", "small")
    text = str(error.value)
    assert "1 missing: stem.0.proj.weight (our stem.0.merge.weight)" in text
    assert "1 left over: stem.0.conv_of_another_layout.weight" in text
    assert "1 of another shape: stages.0.laa.norm.bias (17,) instead of (16,)" in text
    assert "correct it there" in text


def test_a_file_of_another_size_is_refused(tmp_path):
    torch.save(published_state()[0], tmp_path / "seist.pth")
    with pytest.raises(WeightsError, match="of another shape"):
        convert_seist(tmp_path / "seist.pth", "medium")


class Anything:
    """What a pickle may hold besides tensors."""


def test_nothing_but_tensors_is_unpickled(tmp_path):
    path = tmp_path / "seist.pth"
    torch.save({"model_dict": {"a": torch.zeros(1)}, "extra": Anything()}, path)
    with pytest.raises(WeightsError, match="nothing else is ever unpickled"):
        convert_seist(path, "small")
    path.write_bytes(pickle.dumps("no checkpoint")[:5])
    with pytest.raises(WeightsError, match="cannot be read as tensors alone"):
        convert_seist(path, "small")
    torch.save({"epoch": 3}, path)
    with pytest.raises(WeightsError, match="must hold tensors by name"):
        convert_seist(path, "small")
    with pytest.raises(FileNotFoundError, match="expected one of SeisT's published"):
        convert_seist(tmp_path / "none.pth", "small")


def test_strides_are_what_tokens_and_skips_are_at():
    model = new_seist()
    features = model(make_batch(num_samples=2000).replace())
    assert model.feature_spec.token_samples == STAGE_STRIDES[-1] == 64
    assert features.skips[0].shape == (2, up_channels(model.config)[-1], 4032)
