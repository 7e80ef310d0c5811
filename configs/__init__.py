"""Complete runs as YAML, and the strict loader that reads them."""
