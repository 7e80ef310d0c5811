"""The U-Net backbone: 268 k parameters, saved to the bit, at home with any rate, length and component."""

import json
import math
import subprocess
import sys

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.registry import (
    backbone_config,
    saved_backbone_config,
)
from seisfm.foundation.backbones.unet import UNetConfig, UNetModel
from seisfm.foundation.contract import ContractError, InputContract
from seisfm.foundation.token_grid import TokenGrid
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel
from torch import nn
from transformers import AutoModel


def new_unet() -> UNetModel:
    torch.manual_seed(0)
    return UNetModel(UNetConfig.of_size("tiny", InputContract())).eval()


@pytest.fixture(scope="module")
def model() -> UNetModel:
    return new_unet()


def make_batch(num_windows=2, duration_s=12.0, rate_hz=100.0, components="ZNE", seed=0) -> WaveformBatch:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_windows, len(components), round(duration_s * rate_hz))
    return WaveformBatch(
        waveform=torch.randn(shape, generator=generator),
        sampling_rate_hz=torch.full((num_windows,), rate_hz),
        component_names=tuple(components),
        unit=("counts",) * num_windows,
    )


def test_a_picker_around_it_has_about_as_many_parameters_as_phasenet():
    # 268,443 in Zhu & Beroza's network as SeisBench rebuilt it.
    config = SeismicTaskConfig(encoder=UNetConfig.of_size("tiny", InputContract()), heads={"picking": {}})
    with torch.device("meta"):
        picker = SeismicTaskModel(config)
    assert sum(p.numel() for p in picker.parameters()) == 268_515


def test_in_phasenets_layout_it_has_the_published_number_of_parameters():
    contract = InputContract(components=("Z", "N", "E"))
    with torch.device("meta"):
        phasenet = UNetModel(UNetConfig.of_size("phasenet", contract))
    ours = sum(p.numel() for name, p in phasenet.named_parameters() if not name.startswith("pooling."))
    output_layer = 3 * 8 + 3  # noise, P and S
    views, bias = 2 * 3 * 8 * 7, 8  # each component enters three times; no bias before the first norm
    assert ours + output_layer - views + bias == 268_443
    assert ours + output_layer == pytest.approx(268_443, rel=0.02)


@pytest.mark.parametrize("duration_s", [10.0, 30.01])
def test_in_phasenets_layout_it_gives_the_full_rate(duration_s, tmp_path):
    torch.manual_seed(0)
    phasenet = UNetModel(UNetConfig.of_size("phasenet", InputContract())).eval()
    with torch.no_grad():
        features = phasenet(make_batch(duration_s=duration_s))
    num_tokens = math.ceil(features.num_samples / 16)
    assert features.tokens.shape == (2, num_tokens, 32)
    assert [tuple(skip.shape) for skip in features.skips] == [(2, 8, 16 * num_tokens)]
    phasenet.save_pretrained(tmp_path)
    with torch.no_grad():
        again = AutoModel.from_pretrained(tmp_path)(make_batch(duration_s=duration_s))
    assert torch.equal(features.tokens, again.tokens) and torch.equal(features.skips[0], again.skips[0])


@pytest.mark.parametrize("size", ["tiny", "phasenet"])
def test_time_does_not_shift(size):
    torch.manual_seed(0)
    unet = UNetModel(UNetConfig.of_size(size, InputContract())).eval()
    # The coarsest level has a stride of 256 samples: a move by one of them is a move of everything.
    waveform = torch.zeros(1, 4, 40 * 256)
    waveform[:, :3, 20 * 256] = 1.0
    observed = torch.ones_like(waveform, dtype=torch.bool)
    grids = [
        TokenGrid(moved, observed, observed.any(1), torch.zeros(1, 640), torch.ones(1, 640).bool())
        for moved in (waveform, waveform.roll(256, -1))
    ]
    with torch.no_grad():
        (tokens, skips), (moved_tokens, moved_skips) = (unet.read(grid) for grid in grids)
    before, after = (tokens.transpose(1, 2), *skips), (moved_tokens.transpose(1, 2), *moved_skips)
    for features, moved in zip(before, after, strict=True):
        step = features.shape[-1] // 40
        inner = slice(10 * step, 30 * step)
        assert torch.allclose(features[..., inner], moved.roll(-step, -1)[..., inner], atol=1e-4)
        assert float(features[..., inner].std(dim=-1).max()) > 1e-2


def test_saved_and_loaded_gives_the_same_bits(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    batch = make_batch()
    with torch.no_grad():
        before, after = model(batch), loaded(batch)
    assert isinstance(loaded, UNetModel)
    assert torch.equal(before.tokens, after.tokens) and torch.equal(before.pooled, after.pooled)
    assert all(torch.equal(one, other) for one, other in zip(before.skips, after.skips, strict=True))
    assert not list(loaded.buffers()), "running statistics would go astray when a frozen part is trained"


@pytest.mark.parametrize(
    ("duration_s", "rate_hz", "components"),
    [(10, 100, "Z"), (300, 20, "ZNE"), (12.5, 500, "ZNEH"), (30, 62.5, "ZE"), (30.01, 100, "ZNE")],
)
def test_any_rate_length_and_components(model, duration_s, rate_hz, components):
    with torch.no_grad():
        features = model(make_batch(duration_s=duration_s, rate_hz=rate_hz, components=components))
    num_tokens, spec = math.ceil(features.num_samples / 16), model.feature_spec
    assert features.num_samples == math.ceil(round(duration_s * rate_hz) * 100 / rate_hz)
    assert features.tokens.shape == (2, num_tokens, spec.dim)
    assert features.token_time_s.shape == features.token_observed.shape == (2, num_tokens)
    shapes = [tuple(skip.shape[1:]) for skip in features.skips]
    expected = zip(spec.skip_channels, spec.skip_strides, strict=True)
    assert shapes == [(channels, 16 * num_tokens // stride) for channels, stride in expected]
    assert all(bool(part.isfinite().all()) for part in (features.tokens, features.pooled, *features.skips))


def test_a_windows_answer_does_not_depend_on_its_company(model):
    batch = make_batch(num_windows=5)
    with torch.no_grad():
        together = model(batch).tokens
        alone = torch.cat([model(batch.select(torch.tensor([i]))).tokens for i in range(5)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_scale_of_the_counts_moves_no_token(model):
    batch = make_batch()
    with torch.no_grad():
        before, after = model(batch), model(batch.replace(waveform=batch.waveform * 1e4))
    assert torch.allclose(before.tokens, after.tokens, atol=1e-4)
    assert not torch.allclose(before.pooled, after.pooled, atol=1e-4)


def test_a_token_sees_the_whole_of_a_30_s_window(model):
    batch = make_batch(num_windows=1, duration_s=30.0)
    changed = batch.waveform.clone()
    changed[..., -20:] *= -1
    with torch.no_grad():
        moved = (model(batch).tokens - model(batch.replace(waveform=changed)).tokens).abs().amax(dim=-1)
    assert bool((moved > 0).all())


def test_every_parameter_learns():
    picker = SeismicTaskModel(SeismicTaskConfig(encoder=new_unet().config, heads={"picking": {}}))
    labels = {
        "p_arrival_s": torch.tensor([[3.0], [4.0]]),
        "s_arrival_s": torch.tensor([[6.0], [8.0]]),
        "p_labelled": torch.ones(2, dtype=torch.bool),
        "s_labelled": torch.ones(2, dtype=torch.bool),
    }
    loss, _ = picker.compute_loss(make_batch().replace(labels=labels))
    loss.backward()
    silent = [name for name, p in picker.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert all(name.startswith("encoder.pooling.") for name in silent), "no dense head asks the pooling"
    assert not any(isinstance(module, nn.BatchNorm1d) for module in picker.modules())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": [8, 16]}, "a positive number for each of 6 levels"),
        ({"kernel_size": 4}, "kernel_size must be odd, found 4"),
        ({"layout": "flat"}, r"layout must be one of \['for_heads', 'phasenet'\], found 'flat'"),
        ({"layout": "phasenet"}, "a positive number for each of 5 levels"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        UNetConfig.of_size("tiny", InputContract(), **settings)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown backbone 'lstm': the backbones are \['.*'unet'\]"):
        backbone_config("lstm", "tiny", InputContract(), {})
    with pytest.raises(
        ValueError, match=r"unknown size 'huge' of seisfm_unet: the sizes are \['phasenet', 'tiny'\]"
    ):
        backbone_config("unet", "huge", InputContract(), {})
    with pytest.raises(ValueError, match=r"model_type must be one of .*'seisfm_unet'.*, found 'bert'"):
        saved_backbone_config({"model_type": "bert"})


def test_a_folder_without_a_contract_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["input_contract"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ContractError, match="has no input_contract"):
        AutoModel.from_pretrained(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module", ["foundation.backbones.unet", "foundation.backbones.base", "heads.decoder"]
)
def test_any_module_may_come_first(module):
    code = f"import seisfm.{module}; from transformers import AutoConfig; AutoConfig.for_model('seisfm_task')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
