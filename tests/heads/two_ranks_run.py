"""Three updates of all heads in two processes, of which only the second has labels.

`torchrun --nproc_per_node 2 two_ranks_run.py FOLDER` writes rank0.json and rank1.json: the sum of each head's
weights afterwards, and which heads have moved.
"""

import json
import sys
from pathlib import Path

import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.seismic import SeismicConfig
from seisfm.foundation.contract import InputContract
from seisfm.foundation.processes import this_process
from seisfm.foundation.training import TrainingConfig, train
from seisfm.heads.multitask import MultiTaskConfig, MultiTaskObjective
from seisfm.heads.physics import PhysicsConfig
from seisfm.heads.registry import HEADS
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel


def make_model():
    torch.manual_seed(0)
    encoder = SeismicConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        stem_channels=[4, 8, 8],
        input_contract=InputContract().to_dict(),
    )
    return SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads={name: {} for name in HEADS}))


def make_labels():
    return {
        "p_arrival_s": torch.tensor([[3.0], [4.0]]),
        "s_arrival_s": torch.tensor([[5.0], [7.0]]),
        "p_labelled": torch.ones(2, dtype=torch.bool),
        "s_labelled": torch.ones(2, dtype=torch.bool),
        "polarity": torch.tensor([[0], [1]]),
        "event_type": torch.tensor([0, 1]),
        "magnitude": torch.tensor([1.0, 3.0]),
        "distance_km": torch.tensor([20.0, 50.0]),
        "back_azimuth_deg": torch.tensor([10.0, 200.0]),
        "depth_km": torch.tensor([5.0, 12.0]),
        "origin_s": torch.tensor([[1.0], [1.0]]),
    }


class Loader:
    """Windows of noise; only the second process knows anything about them."""

    def __init__(self, rank):
        self.rank = rank

    def batches(self, start):
        while True:
            yield self.batch(start)
            start += 1

    def batch(self, position):
        generator = torch.Generator().manual_seed(100 * self.rank + position)
        return WaveformBatch(
            waveform=torch.randn(2, 3, 1100, generator=generator),
            sampling_rate_hz=torch.full((2,), 100.0),
            component_names=("Z", "N", "E"),
            unit=("m/s", "m/s"),
            labels=make_labels() if self.rank == 1 else {},
        )


def main(folder):
    process = this_process()
    model = make_model()
    before = {name: total(head) for name, head in model.heads.items()}
    objective = MultiTaskObjective(
        model,
        MultiTaskConfig(weighting="uncertainty", physics=PhysicsConfig(sp_time=0.1, attenuation=0.1)),
    )
    config = TrainingConfig(max_steps=3, batch_size=2, warmup_steps=1, checkpoint_every=3, weight_decay=0.0)
    train(objective, Loader(process.process_index), config, folder / "run")
    after = {name: total(head) for name, head in model.heads.items()}
    moved = [name for name in after if after[name] != before[name]]
    result = {"weights": after, "moved": moved}
    (folder / f"rank{process.process_index}.json").write_text(json.dumps(result))


def total(head):
    return sum(float(p.detach().double().abs().sum()) for p in head.parameters())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
