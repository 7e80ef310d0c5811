"""A small training run that tests start as a process: `python training_run.py FOLDER die|wait|run STEP`."""

import os
import signal
import sys

import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.training import TrainingConfig, train
from torch import nn

CONFIG = TrainingConfig(
    max_steps=24,
    gradient_accumulation_steps=2,
    warmup_steps=4,
    ema_decay=0.9,
    checkpoint_every=5,
    log_every=1,
    seed=3,
)


class Objective(nn.Module):
    """A network with dropout: its result tells whether the random numbers were the same."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(20, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 20))
        self.unused = nn.Parameter(torch.ones(3, 2))

    def forward(self, batch):
        waveform = batch.waveform[:, 0]
        loss = (self.model(waveform) - waveform.roll(1, dims=-1)).square().mean()
        return loss, {"amplitude": waveform.abs().mean()}


class Loader:
    """Random windows, each a function of its position (and of the process, where there are several)."""

    def __init__(self, rank=0, num_windows=8):
        self.rank = rank
        self.num_windows = num_windows
        self.asked: list[int] = []

    def batches(self, start):
        position = start
        while True:
            self.asked.append(position)
            yield self.batch(position)
            position += 1

    def batch(self, position):
        generator = torch.Generator().manual_seed(1000 * self.rank + position)
        waveform = torch.randn(self.num_windows, 1, 20, generator=generator)
        return WaveformBatch(
            waveform=waveform,
            sampling_rate_hz=torch.full((self.num_windows,), 100.0),
            component_names=("Z",),
            unit=("counts",) * self.num_windows,
            station_id=tuple(f"XX.S{position}.{i}" for i in range(self.num_windows)),
        )


def main(folder, what, at_step):
    def on_step(step, figures):
        if step == at_step and what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if step == at_step and what == "wait":
            print("waiting", flush=True)
            sys.stdin.readline()

    train(Objective(), Loader(), CONFIG, folder, validate=validation_loss, on_step=on_step)


def validation_loss(objective):
    loss, _ = objective(Loader(rank=7).batch(0))
    return {"loss": float(loss)}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
