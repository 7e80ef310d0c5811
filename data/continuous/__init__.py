"""Continuous waveforms: files, archives, streams and their stations."""
