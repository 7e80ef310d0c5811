"""How well are synthetic records told from real ones, and by what? One page with numbers and figures.

    python examples/compare_realism.py --real ../shared/data/ncedc_phasenet --out runs/realism.html \\
        --settings geometry.distance_km=[1,45] snr=[2,300] second_event_share=0

The real records are one half of the set (split by event): what is changed for their sake is judged on the
other one. The settings are those of `SynthesisConfig`; with `--fit` its ranges are fitted to the dev half.
"""

import argparse
import os
from pathlib import Path

from seisfm.configs.loader import build_config
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.splitting.splits import split_by_event
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.data.synthesis.fit import fit_config
from seisfm.eval.realism.page import RealismConfig, compare, summary_table, write_page

REAL = Path(os.environ.get("SEISFM_DATA", "../shared/data")) / "ncedc_phasenet"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, default=REAL, help="a folder in PhaseNet's npz layout")
    parser.add_argument("--half", choices=("dev", "test"), default="dev", help="of the real records")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--events", type=int, default=600, help="synthetic events to choose from")
    parser.add_argument("--seed", type=int, default=6, help="of the synthetic events")
    parser.add_argument("--settings", nargs="*", default=[], help="key=value of the synthesis")
    parser.add_argument("--fit", action="store_true", help="fit the ranges to the dev half first")
    options = parser.parse_args()
    config = build_config(SynthesisConfig, {}, options.settings)
    halves = split_by_event(read_phasenet_npz(options.real)[0], {"dev": 0.5, "test": 0.5}, 0)
    if options.fit:
        fitted = fit_config(halves["dev"], config, options.seed)
        config = fitted.config
        print(f"fitted to {fitted.num_records} records")
    synthetic = synthesize_records(config, options.seed, options.events)
    result = compare(halves[options.half], synthetic, RealismConfig())
    print(summary_table(result).round(3).to_string(index=False))
    print(result.groups.round(3).to_string(index=False))
    print(write_page(result, options.out))


if __name__ == "__main__":
    main()
