"""Continuous archives: picks, association, location, and what they are handed on as."""
