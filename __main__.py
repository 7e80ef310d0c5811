"""`python -m seisfm` is the `seisfm` command."""

from .cli import main

main()
