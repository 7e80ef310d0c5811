"""`python -m seisfm.finetune.adapt_command CONFIG [key=value …]`: an adaptation from one YAML.

`seisfm adapt` takes the same from options; under `torchrun -m` this one runs on several processors.
"""

from __future__ import annotations

import sys

from ..eval.report import to_json
from ..foundation.command import run_from_yaml
from .adapt import AdaptConfig, adapt

USAGE = """usage: python -m seisfm.finetune.adapt_command CONFIG [key=value …]

CONFIG is a YAML file or a shipped one, for example
  python -m seisfm.finetune.adapt_command finetune/adapt.yaml base=runs/picker output_dir=runs/region"""


def main(arguments: list[str]) -> int:
    """Run, print the comparison as JSON, and return the exit status: 2 for wrong use, 1 for a failure."""
    return run_from_yaml(USAGE, AdaptConfig, _adapted, arguments)


def _adapted(config: AdaptConfig) -> str:
    result = adapt(config)
    return to_json({"output_dir": str(result.output_dir), **result.metrics})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
