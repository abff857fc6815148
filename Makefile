# Everything starts from Python ≥ 3.11 and make; `make demo` and `make test` do all the set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types layers docs bench clean

demo: $(READY)  ## train on the embedded digits and write a report
	@rm -rf runs/demo
	$(BIN)/konv train --out runs/demo

test: $(READY)  ## run every test
	$(BIN)/python -m pytest

lint: $(READY)  ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)  ## strict type check
	$(BIN)/mypy

layers: $(READY)  ## who may import whom
	$(BIN)/lint-imports

docs: $(READY)  ## write the pages that are made from the code: recipe keys, commands, choices
	$(BIN)/python docs/generate.py

bench: $(READY)  ## measured claims; takes minutes
	$(BIN)/python benchmarks/fashion_mnist.py

clean:
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "konv needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[dev]'
	@touch $@
