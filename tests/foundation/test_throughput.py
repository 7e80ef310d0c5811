"""Operations are counted as they would be by hand, peaks are measured, and both reach the log."""

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.throughput import (
    OperationCount,
    datasheet_tflops,
    measured_tflops,
    peak_memory_gib,
)


def batch(num_windows, num_samples=32):
    return WaveformBatch(
        waveform=torch.randn(num_windows, 1, num_samples),
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=("Z",),
        unit=("counts",) * num_windows,
    )


def two_passes(operations, layers, windows):
    with operations.of(windows) as forward:
        loss = layers(windows.waveform[:, 0]).square().mean()
        forward.is_over()
        loss.backward()


@pytest.mark.parametrize("recomputes", [False, True])
def test_a_pass_is_counted_as_by_hand_once_for_each_shape(recomputes):
    layers = torch.nn.Sequential(torch.nn.Linear(32, 8), torch.nn.Linear(8, 4))
    operations = OperationCount(recomputes)
    two_passes(operations, layers, batch(5))
    # 2 for each weight and window forward; backward the same for the weights and, after the first layer, for
    # the input. With activations made again the first layer's input counts too: three times forward.
    first, second = 2 * 5 * 32 * 8, 2 * 5 * 8 * 4
    expected = 3 * (first + second) if recomputes else 2 * first + 3 * second
    assert operations.total == expected
    two_passes(operations, layers, batch(5))
    assert operations.total == 2 * expected
    two_passes(operations, layers, batch(10))
    assert operations.total == 4 * expected


def test_attention_on_a_cpu_is_counted_too():
    class Attend(torch.nn.Module):
        def forward(self, waveform):
            heads = waveform.requires_grad_().reshape(5, 1, 4, 8)
            return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)

    operations = OperationCount(recomputes=False)
    two_passes(operations, Attend(), batch(5))
    forward = 2 * (2 * 5 * 4 * 4 * 8)
    # Backward: four products, and the scores once more.
    assert operations.total == forward + 2.5 * forward


def test_a_matrix_product_shows_a_plausible_peak():
    peak = measured_tflops(torch.device("cpu"), torch.float32)
    assert 0.001 < peak < 100


def test_the_datasheet_is_asked_by_a_part_of_the_name():
    assert datasheet_tflops("NVIDIA H200", torch.bfloat16) == 989.0
    assert datasheet_tflops("NVIDIA A100-SXM4-80GB", torch.float32) == 19.5
    assert datasheet_tflops("A processor of tomorrow", torch.bfloat16) is None


def test_memory_is_that_of_this_process_and_grows_with_what_it_holds():
    before = peak_memory_gib(torch.device("cpu"))
    # More than the process may have held and freed before.
    block = torch.ones(int(2**28 * before))
    grown = peak_memory_gib(torch.device("cpu")) - before
    assert 0 < grown <= block.nbytes / 2**30 * 1.1
