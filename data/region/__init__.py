"""A network's own archive and catalog as labelled records."""
