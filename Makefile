# Two commands do all the set-up on a machine with Python and make:
#   make demo    virtual environment, install, train on real digits, test, say where to look
#   make test    the whole test suite
# Others: make check (lint, types, import layers), make mutation (do tests notice?), make docs, make bench, make clean,
# make distclean.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
DEMO ?= experiments/mnist5k/online_triplet_random_hard.yaml
RUN := $(VENV)/bin/python

.PHONY: demo test check mutation bench docs clean distclean

demo: $(VENV)/.installed
	$(RUN) -m metric_lightning.cli fit --config $(DEMO)
	@echo
	@echo "The run (config, checkpoints, figures, metrics) is in lightning_logs/. To look at it:"
	@echo "    $(VENV)/bin/tensorboard --logdir lightning_logs"

# One thread per process: on few cores two spinning threads are slower than one.
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n $(WORKERS) --dist loadfile $(TEST)

check: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

# Breaks losses and miners one way after the other, in a copy; fails where no test notices. Eight to fifteen minutes.
mutation: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(RUN) -m tests.mutation

bench: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(RUN) -m benchmarks.losses

# Pages of losses and miners, with their pictures, are made from the package; nothing is fetched, a warning is an error.
docs: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 PYTHONPATH=docs $(RUN) -m site_pages.write build/docs
	$(RUN) -m sphinx -W --keep-going -q -b html build/docs site
	@echo "site/index.html"

clean:
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# Stamps: an environment is installed once, and again when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(RUN) -m pip install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(RUN) -m pip install --disable-pip-version-check -e ".[dev]"
	@touch $(VENV)/.installed $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "metric_lightning needs Python 3.10 or newer as $(PYTHON);" \
	         "name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "$(PYTHON) can't make a virtual environment;" \
	         "on Debian and Ubuntu: apt install python3-venv"; exit 1; }
