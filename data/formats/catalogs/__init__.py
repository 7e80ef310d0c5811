"""Readers of the event catalogs of others, each giving the same columns."""
