"""Focal mechanisms by the classical way, and how far answers are from a reference."""
