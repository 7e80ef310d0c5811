"""`python -m seisfm.finetune CONFIG [key=value …]`, also under `torchrun -m` and `accelerate launch -m`."""

from __future__ import annotations

import sys

import torch

from ..configs.loader import load_config
from ..eval.report import to_json
from ..foundation.processes import this_process
from ..foundation.training import NonFiniteError
from .run import FinetuneConfig, finetune

USAGE = """usage: python -m seisfm.finetune CONFIG [key=value …]

CONFIG is a YAML file or a shipped one, for example
  python -m seisfm.finetune finetune/tiny.yaml output_dir=runs/picker base=runs/pretrain-tiny"""


def main(arguments: list[str]) -> int:
    """Run, print the scores as JSON, and return the exit status: 2 for wrong use, 1 for a failure."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    try:
        config = load_config(FinetuneConfig, arguments[0], arguments[1:])
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        result = finetune(config)
    except (OSError, NonFiniteError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if this_process().is_main_process:
        print(to_json({"output_dir": str(result.output_dir), **result.metrics}))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
