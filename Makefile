# One command each: `make demo`, `make test`. Both first make .venv with the versions of constraints.txt.
SHELL := /bin/bash
VENV := .venv
# Called through `python -m`, since a script's first line cannot name a folder with a blank in it.
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=
JOBS ?= 2

.PHONY: help demo test test-slow lint format wheel clean

help:
	@echo "make demo     the whole path at small scale, on CPU, without a network"
	@echo "make test     the test suite            (PYTEST_ARGS='tests/data -k gap' for a part, JOBS=1 in one process)"
	@echo "make test-slow  the tests that take longer"
	@echo "make lint     ruff and mypy"
	@echo "make wheel    a wheel and a source archive in dist/"
	@echo "make clean    remove what was built; .venv stays"

# The first interpreter that really starts and is new enough: a name on the PATH may be a mere stand-in.
$(STAMP): pyproject.toml constraints.txt
	@python=""; \
	for candidate in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "seisfm needs Python 3.11 or newer with venv; found none. Install one, or: make PYTHON=/path/to/python test" >&2; \
	  exit 1; \
	fi; \
	echo "Installing into $(VENV) with $$("$$python" --version) (once; a few minutes)"; \
	"$$python" -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	$(RUN) -m seisfm demo

test: $(STAMP)
	$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile $(PYTEST_ARGS)

test-slow: $(STAMP)
	$(RUN) -m pytest -m slow $(PYTEST_ARGS)

# mypy looks at an installed copy: in the checkout it would meet each module under a second name.
lint: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	rm -rf build
	$(RUN) -m pip install --quiet --no-deps --target build/installed .
	MYPYPATH=build/installed $(RUN) -m mypy -p seisfm

format: $(STAMP)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

wheel: $(STAMP)
	rm -rf build dist
	$(RUN) -m build

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
