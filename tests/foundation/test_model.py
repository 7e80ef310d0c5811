"""The encoder: saved and loaded to the bit, leak-free, at home with any rate, length and component."""

import json
import math

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.seismic import SIZES, SeismicConfig, SeismicModel
from seisfm.foundation.contract import ContractError, InputContract
from seisfm.foundation.encoder import LINEAR_NAMES, Encoder, rotary_angles, rotate
from torch import nn
from transformers import AutoModel


@pytest.fixture(scope="module")
def model() -> SeismicModel:
    torch.manual_seed(0)
    config = SeismicConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        stem_channels=[4, 8, 8],
        input_contract=InputContract().to_dict(),
    )
    return SeismicModel(config).eval()


def make_batch(num_windows=2, duration_s=12.0, rate_hz=100.0, components="ZNE", seed=0) -> WaveformBatch:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_windows, len(components), round(duration_s * rate_hz))
    return WaveformBatch(
        waveform=torch.randn(shape, generator=generator),
        sampling_rate_hz=torch.full((num_windows,), rate_hz),
        component_names=tuple(components),
        unit=("counts",) * num_windows,
    )


@pytest.mark.parametrize(
    ("size", "millions"), [("tiny", 2.9), ("small", 22.0), ("base", 87.4), ("large", 308.0)]
)
def test_sizes_have_the_parameters_that_the_documents_tell(size, millions):
    with torch.device("meta"):
        model = SeismicModel(SeismicConfig.of_size(size, InputContract()))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    assert set(SIZES) == {"tiny", "small", "base", "large"}


def test_unknown_size_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"the sizes are \['base', 'large', 'small', 'tiny'\]"):
        SeismicConfig.of_size("huge", InputContract())


def test_saved_and_loaded_gives_the_same_bits(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    batch = make_batch()
    with torch.no_grad():
        before, after = model(batch), loaded(batch)
    assert isinstance(loaded, SeismicModel)
    assert loaded.contract == model.contract
    assert torch.equal(before.tokens, after.tokens)
    assert torch.equal(before.pooled, after.pooled)
    state = loaded.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not list(loaded.buffers()), "a buffer would need a test of its own after loading"


def test_folder_without_contract_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["input_contract"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ContractError, match="has no input_contract"):
        AutoModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("duration_s", "rate_hz", "components"),
    [(10, 100, "Z"), (300, 20, "ZNE"), (12.5, 500, "ZNEH"), (30, 62.5, "ZE")],
)
def test_any_rate_length_and_components(model, duration_s, rate_hz, components):
    batch = make_batch(duration_s=duration_s, rate_hz=rate_hz, components=components)
    with torch.no_grad():
        features = model(batch)
    assert features.tokens.shape[1] == math.ceil(duration_s * 100 / 16) == model.num_tokens(batch)
    assert all(
        bool(tensor.isfinite().all()) for tensor in (features.tokens, features.pooled, *features.skips)
    )


def test_hidden_samples_reach_nothing(model):
    batch = make_batch()
    hidden = torch.zeros(2, model.num_tokens(batch), dtype=torch.bool)
    hidden[0, 10:30] = hidden[1, 40:60] = True
    kept = model.hide(batch, hidden).observed
    changed = batch.replace(waveform=torch.where(kept, batch.waveform, 1e3 * torch.ones_like(batch.waveform)))
    with torch.no_grad():
        before, after = model(batch, hidden), model(changed, hidden)
    assert before.tokens.shape[1] == model.num_tokens(batch) - 20
    for name in ("tokens", "pooled", "log_gain", "token_time_s"):
        assert torch.equal(before[name], after[name])
    assert all(torch.equal(a, b) for a, b in zip(before.skips, after.skips, strict=True))
    with torch.no_grad():
        assert not torch.equal(model(batch).tokens, model(changed).tokens)


@pytest.mark.parametrize("rate_hz", [99.998, 100.04, 50.0, 31.25, 200.0])
def test_tokens_are_counted_as_the_contract_resamples(model, rate_hz):
    # A whole number of tokens at a rate that the contract takes for 100 Hz, and rates that it resamples.
    batch = make_batch(duration_s=3008 / rate_hz, rate_hz=rate_hz)
    num_tokens = model.num_tokens(batch)
    assert model(batch).tokens.shape[1] == num_tokens
    hidden = torch.zeros(2, num_tokens, dtype=torch.bool)
    hidden[:, -1] = True
    assert model(batch, hidden).tokens.shape[1] == num_tokens - 1
    last_token_s = model.config.token_samples / model.contract.model_rate_hz
    gone = (~model.hide(batch, hidden).observed[0, 0]).sum()
    assert 0 < float(gone) / rate_hz <= last_token_s + 1 / rate_hz


def test_hidden_must_leave_equal_counts(model):
    batch = make_batch()
    hidden = torch.zeros(2, model.num_tokens(batch), dtype=torch.bool)
    hidden[0, 3] = True
    with pytest.raises(ValueError, match="the same number in each window"):
        model(batch, hidden)


def test_permuted_windows_give_permuted_features(model):
    batch = make_batch(num_windows=4)
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        straight, permuted = model(batch), model(batch.select(order))
    assert torch.allclose(straight.tokens[order], permuted.tokens, atol=1e-5)


def test_padding_a_window_with_missing_data_changes_little_beside_its_edge(model):
    batch = make_batch()
    padded = batch.replace(waveform=nn.functional.pad(batch.waveform, (0, 800), value=torch.nan))
    with torch.no_grad():
        short, long = model(batch), model(padded)
    inside = short.tokens.shape[1] - 5
    assert torch.allclose(short.tokens[:, :inside], long.tokens[:, :inside], atol=0.05)
    assert torch.allclose(short.pooled, long.pooled, atol=0.05)


def test_the_scale_of_the_counts_moves_the_gain_and_nothing_dense(model):
    batch = make_batch()
    louder = batch.replace(waveform=batch.waveform * 4096)
    with torch.no_grad():
        before, after = model(batch), model(louder)
    assert torch.equal(before.tokens, after.tokens)
    assert torch.allclose(after.log_gain - before.log_gain, torch.tensor(math.log10(4096)), atol=1e-5)
    assert not torch.equal(before.pooled, after.pooled)


def test_missing_component_is_not_a_zero_component(model):
    batch = make_batch()
    vertical = batch.replace(waveform=batch.waveform[:, :1], component_names=("Z",))
    observed = batch.observed
    zeros = torch.cat((batch.waveform[:, :1], torch.zeros_like(batch.waveform[:, 1:])), dim=1)
    with torch.no_grad():
        missing = model(vertical).tokens
        prepared = model.contract.prepare(batch.replace(waveform=zeros, observed=observed))
        pretended = prepared.__class__(**prepared.__dict__ | {"observed": torch.ones_like(prepared.observed)})
        assert not torch.allclose(missing, model.encode(pretended).tokens, atol=1e-3)


def test_rotary_attention_knows_time_differences_only():
    torch.manual_seed(1)
    query, key = torch.randn(2, 1, 1, 20, 32)
    time_s = torch.rand(1, 20) * 30

    def scores(times):
        angles = rotary_angles(times, 32)
        return rotate(query, angles) @ rotate(key, angles).transpose(-1, -2)

    assert torch.allclose(scores(time_s), scores(time_s + 77.0), atol=1e-3)
    assert not torch.allclose(scores(time_s), scores(time_s * 1.1), atol=1e-1)


def test_a_token_without_data_is_attended_by_nobody():
    torch.manual_seed(0)
    encoder = Encoder(32, 2, 2, 64).eval()
    tokens, time_s = torch.randn(1, 10, 32), torch.arange(10.0)[None]
    observed = torch.ones(1, 10, dtype=torch.bool)
    observed[0, 4] = False
    changed = tokens.clone()
    changed[0, 4] += 10
    keep = observed[0]
    assert torch.equal(
        encoder(tokens, time_s, observed)[:, keep], encoder(changed, time_s, observed)[:, keep]
    )


def test_linear_layers_carry_their_published_names(model):
    names = {
        name.rsplit(".", 1)[-1]
        for name, layer in model.encoder.named_modules()
        if isinstance(layer, nn.Linear)
    }
    assert names == set(LINEAR_NAMES)


def test_activation_checkpointing_gives_the_same_gradients(model):
    batch = make_batch()

    def gradient() -> torch.Tensor:
        model.zero_grad()
        model(batch).tokens.square().mean().backward()
        return model.encoder.layers[0].attention.query.weight.grad.clone()

    model.train()
    plain = gradient()
    model.activation_checkpointing_enable()
    checkpointed = gradient()
    model.activation_checkpointing_disable()
    model.eval()
    assert torch.equal(plain, checkpointed)


def test_bfloat16_stays_close(model):
    batch = make_batch()
    with torch.no_grad():
        reference = model(batch).tokens
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(batch).tokens
    assert mixed.isfinite().all()
    assert float((mixed.float() - reference).abs().mean()) < 0.05
