# Every target sets up what it needs in a private virtual environment, .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-versions fuzz oracle lint bench clean

demo: .venv/ready
	$(BIN)/fastmodes demo

test: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/typed_tree.py
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not fuzz and not alone"
	$(BIN)/pytest -m "alone and not slow and not fuzz"

test-slow: .venv/ready-test
	$(BIN)/pytest -m slow

fuzz: .venv/ready-test
	$(BIN)/pytest -m fuzz

# Every Python that is found, each in a .venv-3.N of its own, and the oldest versions of the dependencies;
# `make test-versions ARGS="3.12 oldest -- tests/test_flow.py"` runs a part.
test-versions:
	$(PYTHON) tests/versions.py $(ARGS)

oracle: .venv/ready-test
	$(BIN)/pytest -m oracle

lint: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/typed_tree.py
	$(BIN)/mypy

bench: .venv/ready-bench
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.peers_flow
	$(BIN)/python -m benchmarks.peers_stationary
	$(BIN)/python -m benchmarks.peers_moments
	$(BIN)/python -m benchmarks.bench_sweeps

clean:
	rm -rf .venv .venv-* build dist *.egg-info

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fastmodes needs Python 3.11 or newer; use make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/ready-test: .venv/ready
	$(BIN)/pip install --quiet --editable '.[test,oracle,dask,dev]'
	touch $@

.venv/ready-bench: .venv/ready
	$(BIN)/pip install --quiet --editable '.[bench,dask]'
	touch $@
