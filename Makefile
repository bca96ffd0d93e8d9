# Every target sets up .venv first. PYTHON chooses the interpreter, 3.10 to 3.13.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-slow lint wheel clean

demo: $(VENV)/.package        ## the main job on handwritten digits, to an exported network
	$(BIN)/darts-tf demo --workdir runs/demo --overwrite

test: $(VENV)/.tests          ## all tests but the slow ones
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.tests     ## the slow ones
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.tests          ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

wheel: $(VENV)/.tests         ## a wheel in dist/
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --wheel

clean:                        ## everything that the other targets made
	rm -rf $(VENV) build dist *.egg-info runs/demo

$(VENV)/.package: setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.tests: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@
