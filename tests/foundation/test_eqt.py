"""EQTransformer as a backbone: the published layout, no shift of time, attention that memory can hold."""

import dataclasses

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones import additive_attention
from seisfm.foundation.backbones.additive_attention import AdditiveAttention, NeighbourAttention
from seisfm.foundation.backbones.eqt import EQTConfig, EQTModel, ResidualBlock
from seisfm.foundation.contract import InputContract
from seisfm.foundation.token_grid import TokenGrid
from transformers import AutoModel


def new_eqt(components=("Z", "N", "E"), **changes) -> EQTModel:
    torch.manual_seed(0)
    return EQTModel(EQTConfig.of_size("original", InputContract(components=components), **changes)).eval()


@pytest.fixture(scope="module")
def model() -> EQTModel:
    return new_eqt()


def make_batch(num_windows=2, duration_s=20.0, components="ZNE", seed=0) -> WaveformBatch:
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
    last_convolutions = 3 * (8 * 11 + 1)  # detection, P and S: 8 channels to 1, kernel 11
    score_biases = 4  # of two global and two local attentions; no softmax notices them
    ours = count(model) - count(model.pooling) - count(model.missing)
    # 376,935: SeisBench's EQTransformer. Mousavi et al. 2020, with Keras' one bias an LSTM: "372 K".
    assert ours + last_convolutions + score_biases == 376_935
    assert ours + last_convolutions == pytest.approx(372_000, rel=0.02)


@pytest.mark.parametrize("duration_s", [10.0, 61.7])
def test_heads_get_three_branches_at_both_rates(model, duration_s):
    with torch.no_grad():
        features = model(make_batch(duration_s=duration_s))
    num_tokens = -(-round(duration_s * 100) // 128)
    assert features.tokens.shape == (2, num_tokens, 3 * 16)
    assert features.skips[0].shape == (2, 3 * 8, 128 * num_tokens)
    assert model.feature_spec.skip_strides == (1,) and model.feature_spec.skip_channels == (24,)


def test_saved_and_loaded_gives_the_same_bits_with_its_running_statistics(tmp_path):
    model = new_eqt()
    model.train()
    model(make_batch(num_windows=4))
    model.eval().save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, EQTModel)
    buffers = dict(model.named_buffers())
    assert any("running_var" in name for name in buffers)
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in loaded.named_buffers())
    with torch.no_grad():
        before, after = model(make_batch()), loaded(make_batch())
    assert torch.equal(before.tokens, after.tokens) and torch.equal(before.skips[0], after.skips[0])


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_a_residual_block_does_not_shift_time(kernel_size):
    block = ResidualBlock(1, kernel_size, 0.0).eval()
    with torch.no_grad():
        for conv in (block.first, block.second):
            conv.weight.fill_(1.0)
            conv.bias.zero_()
        impulse = torch.zeros(1, 1, 21)
        impulse[..., 10] = 1.0
        answer = block(impulse)[0, 0]
    assert torch.equal(answer, answer.flip(0)), "centred on where the impulse is"


def test_a_missing_component_is_not_a_zero(model):
    batch = make_batch()
    absent = batch.waveform.clone()
    absent[:, 1] = torch.nan
    prepared = model.prepare(batch.replace(waveform=absent, observed=absent.isfinite()))
    told = TokenGrid.of(prepared, 128, 100.0, torch.float32)
    untold = dataclasses.replace(told, observed=torch.ones_like(told.observed))
    with torch.no_grad():
        difference = (model.read(told)[0] - model.read(untold)[0]).abs().max()
    assert float(difference) > 1e-5


def test_a_windows_answer_does_not_depend_on_its_company(model):
    batch = make_batch(num_windows=5)
    with torch.no_grad():
        together = model(batch).tokens
        alone = torch.cat([model(batch.select(torch.tensor([i]))).tokens for i in range(5)])
    assert torch.allclose(together, alone, atol=1e-5)


def additive_reference(attention, tokens, allowed):
    """All pairs at once, one by one, as the equations stand."""
    query, key = attention.query(tokens), attention.key(tokens)
    answers = torch.zeros_like(tokens)
    for window, row in allowed.nonzero().unique(dim=0)[:, :2].unique(dim=0).tolist():
        others = allowed[window, row].nonzero()[:, 0]
        score = attention.score(torch.tanh(query[window, row] + key[window, others]))[:, 0]
        answers[window, row] = score.softmax(dim=0) @ tokens[window, others]
    return answers


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(3, 23, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)


@pytest.fixture
def observed() -> torch.Tensor:
    seen = torch.ones(3, 23, dtype=torch.bool)
    seen[0, 5:12] = False
    seen[1, 20:] = False
    return seen


@pytest.mark.parametrize("at_once", [4, 64])
def test_global_attention_is_the_equation_in_pieces_too(tokens, observed, at_once, monkeypatch):
    monkeypatch.setattr(additive_attention, "QUERIES_AT_ONCE", at_once)
    torch.manual_seed(0)
    attention = AdditiveAttention(6, 5)
    allowed = observed[:, None, :].expand(-1, 23, -1)
    expected = additive_reference(attention, tokens, allowed)
    found = attention(tokens, observed)
    assert torch.allclose(found, expected, atol=1e-6)
    parts = (tokens, *attention.parameters())
    wanted = torch.autograd.grad(expected.square().sum(), parts)
    gradients = torch.autograd.grad(found.square().sum(), parts)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(gradients, wanted, strict=True))


def test_neighbour_attention_is_the_equation_among_three(tokens, observed):
    torch.manual_seed(0)
    attention = NeighbourAttention(6, 5)
    index = torch.arange(23)
    near = ((index[:, None] - index).abs() <= 1)[None] & observed[:, None, :]
    allowed = near | (torch.eye(23, dtype=torch.bool) & ~near.any(dim=-1, keepdim=True))
    assert torch.allclose(
        attention(tokens, observed), additive_reference(attention, tokens, allowed), atol=1e-6
    )


@pytest.mark.parametrize("kind", [AdditiveAttention, NeighbourAttention])
def test_nobody_attends_to_an_unobserved_token_and_no_data_is_no_harm(tokens, observed, kind):
    attention = kind(6, 5)
    changed = torch.where(observed[..., None], tokens, tokens + 7.0)
    with torch.no_grad():
        before, after = attention(tokens, observed), attention(changed, observed)
        empty = attention(tokens, torch.zeros_like(observed))
    assert torch.equal(before[observed], after[observed])
    assert bool(empty.isfinite().all())


def test_memory_of_attention_grows_with_the_tokens_not_with_their_square():
    attention = AdditiveAttention(4, 32)

    def saved_numbers(num_tokens: int) -> int:
        saved = []
        keep = torch.autograd.graph.saved_tensors_hooks(
            lambda t: (saved.append(t.numel()), t)[1], lambda t: t
        )
        tokens = torch.randn(1, num_tokens, 4, requires_grad=True)
        with keep:
            attention(tokens, torch.ones(1, num_tokens, dtype=torch.bool))
        return sum(saved)

    # All pairs would be 16 times as many numbers for four times the tokens, 16.8 million here.
    assert saved_numbers(512) < 512 * 512 * 32 / 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": [8, 16]}, "one number for each level, of at least two, found"),
        (
            {"kernel_sizes": [11, 9, 7, 7, 5, 5, 4]},
            r"kernel_sizes must be odd, found \[11, 9, 7, 7, 5, 5, 4\]",
        ),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EQTConfig.of_size("original", InputContract(), **settings)
