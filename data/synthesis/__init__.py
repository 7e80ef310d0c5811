"""Physical synthetic seismograms with complete labels."""

from .archive import SyntheticArchive, TrueEvent, synthesize_archive
from .config import SynthesisConfig, regions
from .engine import SyntheticEarth
from .generate import synthesize_event, synthesize_records
from .synthetic_records import SyntheticRecords

__all__ = [
    "SynthesisConfig",
    "SyntheticArchive",
    "SyntheticEarth",
    "SyntheticRecords",
    "TrueEvent",
    "regions",
    "synthesize_archive",
    "synthesize_event",
    "synthesize_records",
]
