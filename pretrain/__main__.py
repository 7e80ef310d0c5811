"""`python -m seisfm.pretrain CONFIG [key=value …]`, also under `torchrun -m` and `accelerate launch -m`."""

from __future__ import annotations

import json
import sys

import torch

from ..configs.loader import load_config
from ..foundation.checkpoints import CheckpointError
from ..foundation.contract import ContractError
from ..foundation.processes import this_process
from ..foundation.training import NonFiniteError
from .run import PretrainConfig, pretrain

USAGE = """usage: python -m seisfm.pretrain CONFIG [key=value …]

CONFIG is a YAML file or a shipped one, for example
  python -m seisfm.pretrain pretrain/tiny.yaml output_dir=runs/tiny training.max_steps=500"""


def main(arguments: list[str]) -> int:
    """Run, print the scores as JSON, and return the exit status: 2 for wrong use, 1 for a failure."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    try:
        config = load_config(PretrainConfig, arguments[0], arguments[1:])
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        result = pretrain(config)
    except (CheckpointError, ContractError, FileNotFoundError, NonFiniteError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if this_process().is_main_process:
        print(json.dumps({"output_dir": str(result.output_dir), **result.metrics}, indent=1))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
