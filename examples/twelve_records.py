"""Which of twelve records are synthetic? A page to guess from, with the answer folded at its end.

    python examples/twelve_records.py --real ../shared/data/ncedc_phasenet --out runs/twelve.html --seed 0

Six real records are drawn from a half of the set (split by event), and for each a synthetic one of like S − P
and SNR. All pass the same filter and are scaled alike; their order is drawn from the seed.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.splitting.splits import split_by_event
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.eval.realism.excerpts import ExcerptConfig, cut_excerpts
from seisfm.eval.realism.features import feature_table
from seisfm.eval.realism.figures import twelve_figure
from seisfm.eval.realism.two_sample import TwoSampleConfig, match
from seisfm.eval.report import Report

REAL = Path(os.environ.get("SEISFM_DATA", "../shared/data")) / "ncedc_phasenet"


def drawn_records(folder, half, num_events, seed):
    """Six excerpts of either kind, matched in S − P and SNR: synthetic ones first."""
    config = ExcerptConfig(band_hz=(1.0, 25.0))
    records = split_by_event(read_phasenet_npz(folder)[0], {"dev": 0.5, "test": 0.5}, 0)[half]
    real, _ = cut_excerpts(records, config)
    pool, _ = cut_excerpts(synthesize_records(SynthesisConfig(), seed, num_events), config)
    chosen = [real[i] for i in np.random.default_rng(seed).choice(len(real), 6, replace=False)]
    rows = match(feature_table(chosen), feature_table(pool), TwoSampleConfig(per_real=1))
    return [pool[row] for row in rows], chosen


def write_twelve(synthetic, real, seed, path):
    """The page; returns which of the numbers 1 to 12 are synthetic."""
    order = np.random.default_rng([seed, 1]).permutation(12)
    excerpts = [*synthetic, *real]
    answer = [number for number, one in enumerate(order.tolist(), 1) if one < len(synthetic)]
    report = Report("Twelve records")
    report.text(
        "Six of these records are of real local earthquakes, six are synthetic. Each panel shows Z, N and E "
        "about P and S between 1 and 25 Hz, in seconds, all three scaled by the record's largest amplitude."
    )
    report.figure(
        twelve_figure([excerpts[one] for one in order]),
        "Which are synthetic?",
        "Twelve numbered three-component seismograms of local earthquakes, without any other information",
    )
    report.folded("The answer", f"Synthetic: {', '.join(map(str, answer))}.")
    report.write(path)
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, default=REAL, help="a folder in PhaseNet's npz layout")
    parser.add_argument("--half", choices=("dev", "test"), default="dev", help="of the real records")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--events", type=int, default=60, help="synthetic events to choose from")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    synthetic, real = drawn_records(options.real, options.half, options.events, options.seed)
    write_twelve(synthetic, real, options.seed, options.out)
    print(options.out)


if __name__ == "__main__":
    main()
