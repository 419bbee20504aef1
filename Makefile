# make run    the console (or, without a terminal, one headless loop)
# make test   everything the tests need, then all tests
# make check  ruff, mypy and the import contracts
VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= python3

.PHONY: run test check install dev clean

run: $(VENV)/.installed
	@if [ -t 0 ] && [ -t 1 ]; then exec $(VENV)/bin/benlab; else exec $(VENV)/bin/benlab loop --quick --json; fi

install: $(VENV)/.installed

dev: $(VENV)/.installed-dev

# Two at a time, a file's tests together. What failed beside another is asked once more alone: it may have been starved.
test: $(VENV)/.installed-dev
	$(PY) -m pytest -n 2 --dist loadfile || { status=$$?; [ $$status -eq 1 ] || exit $$status; \
	  echo "once more, alone:"; $(PY) -m pytest -v --last-failed --last-failed-no-failures none; }

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: set PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)

# torch goes first and by its pinned version, so that pip takes a CPU build where one lies at hand.
$(VENV)/.installed: pyproject.toml constraints.txt | $(PY)
	@echo 'installing into $(VENV): some minutes' >&2
	@$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt torch
	@$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(PY)
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt torch
	$(PY) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,scientist,cluster,tensorboard,web]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
