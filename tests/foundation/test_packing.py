"""Windows that share a row of tokens know nothing of each other, and cost less than their padding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract
from seisfm.foundation.encoder import Encoder
from seisfm.foundation.packing import Packing, filled_rows
from seisfm.foundation.training import TrainingConfig, train

LENGTHS = (24, 6, 12, 6, 24, 3)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(32, num_layers=2, num_heads=2, hidden_dim=48).eval()


def windows(lengths=LENGTHS, seed=1):
    """Tokens, times and what is observed; each window ends after its number of tokens."""
    longest = max(lengths)
    tokens = torch.randn(len(lengths), longest, 32, generator=torch.Generator().manual_seed(seed))
    time_s = (torch.arange(longest) * 0.16).expand(len(lengths), -1)
    observed = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return tokens, time_s, observed


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_rows_hold_each_window_once_and_none_overflows(lengths):
    rows = filled_rows(lengths)
    assert sorted(member for row in rows for member in row) == list(range(len(lengths)))
    assert all(sum(lengths[member] for member in row) <= max(lengths) for row in rows)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any))
def test_what_is_packed_comes_back_and_the_rest_is_zero(lengths):
    tokens, _, observed = windows(lengths)
    packing = Packing.of(observed)
    back = packing.unpack(packing.pack(tokens), observed)
    # A window without data keeps one token.
    kept = observed.clone()
    kept[:, 0] = True
    assert torch.equal(back, tokens * kept[..., None])


def test_packed_windows_are_what_each_is_alone(encoder):
    tokens, time_s, observed = windows()
    encoder.packing = True
    assert Packing.of(observed).is_worth_it(observed)
    packed = encoder(tokens, time_s, observed)
    for number, length in enumerate(LENGTHS):
        alone = encoder(tokens[number : number + 1, :length], time_s[number : number + 1, :length])
        torch.testing.assert_close(packed[number : number + 1, :length], alone, atol=1e-5, rtol=0)
        assert not packed[number, length:].any()


def test_gaps_and_empty_windows_are_as_without_packing(encoder):
    tokens, time_s, observed = windows()
    observed[0, 5:9] = False
    observed[3] = False
    plain = encoder(tokens, time_s, observed)
    encoder.packing = True
    packed = encoder(tokens, time_s, observed)
    torch.testing.assert_close(packed[observed], plain[observed], atol=1e-5, rtol=0)
    torch.testing.assert_close(packed[0, 5:9], plain[0, 5:9], atol=1e-5, rtol=0)
    assert packed.isfinite().all()


def test_gradients_are_those_of_the_windows_alone(encoder):
    tokens, time_s, observed = windows()
    gradients = []
    for encoder.packing in (False, True):
        encoder.zero_grad()
        encoder(tokens, time_s, observed)[observed].square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters()])
    for plain, packed in zip(*gradients, strict=True):
        torch.testing.assert_close(packed, plain, atol=1e-5, rtol=1e-4)


def test_windows_of_one_length_are_left_as_they_are(encoder):
    tokens, time_s, observed = windows((20, 20, 19))
    assert not Packing.of(observed).is_worth_it(observed)
    plain = encoder(tokens, time_s, observed)
    encoder.packing = True
    assert torch.equal(encoder(tokens, time_s, observed), plain)


def test_training_switches_it_on_and_the_loss_stays(tmp_path, mixed_batch):
    losses = []
    for packing in (False, True):
        objective = Amplitude()
        config = TrainingConfig(max_steps=3, batch_size=4, packing=packing, warmup_steps=0, log_every=1)
        steps = []
        train(objective, Repeated(mixed_batch), config, tmp_path / str(packing), on_step=noted(steps))
        assert objective.model.encoder.packing is packing
        losses.append(steps)
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def noted(losses):
    return lambda step, figures: losses.append(float(figures["loss"]))


class Amplitude(torch.nn.Module):
    """A question to each observed token: how strong is it?"""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        nano = {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "stem_channels": [4, 4, 4],
        }
        self.model = SeismicModel(SeismicConfig(input_contract=InputContract().to_dict(), **nano))
        self.answer = torch.nn.Linear(16, 1)

    def forward(self, batch):
        features = self.model(batch)
        strength = batch.waveform.nan_to_num().abs().mean(dim=1).unflatten(-1, (-1, 16)).mean(-1, True)
        error = (self.answer(features.tokens) - strength).square()
        return error[features.token_observed].mean(), {}


class Repeated:
    """The same batch again and again."""

    def __init__(self, batch):
        self.batch = batch

    def batches(self, start):
        while True:
            yield self.batch


@pytest.fixture
def mixed_batch():
    waveform = torch.randn(4, 3, 3200, generator=torch.Generator().manual_seed(5))
    for number, samples in enumerate((3200, 1008, 1600, 1008)):
        waveform[number, :, samples:] = torch.nan
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.full((4,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * 4,
    )
