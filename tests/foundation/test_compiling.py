"""Compiled layers compute what plain ones do, under the same names, once for each shape."""

import copy

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.compiling import compile_layers
from seisfm.foundation.contract import InputContract
from torch._dynamo.testing import CompileCounter
from torch._dynamo.utils import counters

# torch's compiler imports what torch has deprecated, and looks at every tensor's gradient while it traces.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]


class Energy(torch.nn.Module):
    """The mean square of a network's tokens."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        nano = {
            "hidden_size": 16,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "stem_channels": [4, 4, 4],
        }
        self.model = SeismicModel(SeismicConfig(input_contract=InputContract().to_dict(), **nano))

    def forward(self, batch):
        return self.model(batch).tokens.square().mean()


def windows(seconds):
    waveform = torch.randn(2, 3, 100 * seconds, generator=torch.Generator().manual_seed(seconds))
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.full((2,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * 2,
    )


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit = 8
    torch._dynamo.config.fail_on_recompile_limit_hit = False


def test_losses_gradients_and_names_are_those_of_plain_layers(fresh_compiler):
    plain = Energy()
    compiled = copy.deepcopy(plain)
    compile_layers(compiled, backend="aot_eager")
    losses = [objective(windows(10)) for objective in (plain, compiled)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    assert counters["frames"]["ok"] == counters["frames"]["total"] > 0 and not counters["graph_break"]
    named = dict(plain.named_parameters())
    assert named.keys() == dict(compiled.named_parameters()).keys()
    for name, parameter in compiled.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, named[name].grad, atol=1e-6, rtol=1e-4)


def test_each_length_is_compiled_once_for_all_blocks(fresh_compiler):
    objective = Energy()
    graphs = CompileCounter()
    compile_layers(objective, backend=graphs)
    for seconds in (10, 20, 10, 20, 20):
        objective(windows(seconds))
    assert graphs.frame_count == 2


def test_a_run_with_too_many_shapes_is_stopped(fresh_compiler, monkeypatch):
    objective = Energy()
    monkeypatch.setattr("seisfm.foundation.compiling.MOST_SHAPES", 2)
    compile_layers(objective, backend="eager")
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit, match="limit"):
        for seconds in (10, 20, 30, 40):
            objective(windows(seconds))
