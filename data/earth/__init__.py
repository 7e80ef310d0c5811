"""Velocity models, rays and travel times."""
