"""Focal mechanisms as geometry, and what stations see of them: first motions and S/P amplitude ratios."""
