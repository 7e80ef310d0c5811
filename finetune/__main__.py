"""`python -m seisfm.finetune CONFIG [key=value …]`, also under `torchrun -m` and `accelerate launch -m`."""

from __future__ import annotations

import sys

from ..eval.report import to_json
from ..foundation.command import run_from_yaml
from .run import FinetuneConfig, finetune

USAGE = """usage: python -m seisfm.finetune CONFIG [key=value …]

CONFIG is a YAML file or a shipped one, for example
  python -m seisfm.finetune finetune/tiny.yaml output_dir=runs/picker base=runs/pretrain-tiny"""


def main(arguments: list[str]) -> int:
    """Run, print the scores as JSON, and return the exit status: 2 for wrong use, 1 for a failure."""
    return run_from_yaml(USAGE, FinetuneConfig, _finetuned, arguments)


def _finetuned(config: FinetuneConfig) -> str:
    result = finetune(config)
    return to_json({"output_dir": str(result.output_dir), **result.metrics})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
