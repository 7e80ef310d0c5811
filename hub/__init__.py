"""Sharing models: cards made from the run, checks before publishing, publishing."""
