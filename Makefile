# Every target sets up .venv first. PYTHON chooses the interpreter, 3.10 to 3.13.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-long test-cifar10 cells study bench docs lint web wheel check-wheel clean

demo: $(VENV)/.package        ## the main job on handwritten digits, to an exported network
	$(BIN)/darts-tf demo --workdir runs/demo --overwrite

test: $(VENV)/.tests          ## all tests; those of the web page skip where its runtime cannot be had
	-$(BIN)/python -m darts_tf.export.web.vendoring
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.tests     ## the slow tests, all generated examples, 50 kills; an hour and a half
	$(BIN)/python -m pytest -m slow
	DARTS_TF_KILLS=50 $(BIN)/python -m pytest tests/training/test_checkpointing_kills.py
	DARTS_TF_ALL_EXAMPLES=1 $(BIN)/python -m pytest tests/test_rubbish.py tests/runs tests/costs \
	  tests/report tests/models/test_state_dicts.py tests/data/test_vocabulary.py

test-cifar10: $(VENV)/.tests  ## a small network learns real images, with its log; ten minutes
	$(BIN)/python -m pytest -m slow tests/test_cifar10.py

DATASET ?= pydoc
cells: $(VENV)/.package       ## a recurrent cell, searched on DATASET, against an LSTM over 3 seeds; half an hour
	folder=runs/cell-$(notdir $(DATASET)) && $(BIN)/darts-tf search --dataset $(DATASET) \
	  --workdir $$folder $$(test -f $$folder/config.json && echo --resume) \
	&& $(BIN)/python benchmarks/language_cells.py --dataset $(DATASET) \
	  --genotype $$folder/genotype.json --workdir runs/cells-$(notdir $(DATASET))

IMAGES ?= cifar10
study: $(VENV)/.package       ## ways to find cells at equal cost on IMAGES, 3 seeds, one table; an hour and a half
	folder=runs/study-$(notdir $(IMAGES)) && $(BIN)/darts-tf compare --dataset $(IMAGES) \
	  --methods first_order,second_order,finite_difference,partial_channels,perturbation,random,evolution \
	  --seeds 0,1,2 --budget time=120s --image-size 16 --limit 2000 --channels 12 --cells 5 \
	  --batch-size 32 --epochs 10 --trial-epochs 2 --flip --population 5 --sample 2 \
	  --search channels=8,batch_size=32,flip=true,selection_images=100,selection_epochs=0 \
	  --workdir $$folder $$(test -f $$folder/config.json && echo --resume)

bench: $(VENV)/.package       ## the short benchmarks, some minutes; results in benchmarks/results
	$(BIN)/python benchmarks/command_line.py
	$(BIN)/python benchmarks/search_step.py
	$(BIN)/python benchmarks/language_step.py
	$(BIN)/python benchmarks/train_step.py
	$(BIN)/python benchmarks/input_pipeline.py
	$(BIN)/python benchmarks/roofline.py
	$(BIN)/python benchmarks/exporting.py
	$(BIN)/python benchmarks/latency_prediction.py

docs: $(VENV)/.tests          ## the documentation as a site in build/site, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean

lint: $(VENV)/.tests          ## style, formatting, who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

web: $(VENV)/.package         ## the runtime of `--format web`, 19 MB from the npm registry
	$(BIN)/python -m darts_tf.export.web.vendoring

wheel: $(VENV)/.tests web     ## a wheel in dist/
	$(BIN)/python -m pip install -qq build
	rm -rf dist build && $(BIN)/python -m build --wheel

check-wheel: wheel            ## the demo from that wheel in an empty environment, elsewhere
	folder=$$(mktemp -d) && $(PYTHON) -m venv $$folder/venv \
	&& $$folder/venv/bin/python -m pip install -qq dist/*.whl \
	&& cd $$folder && venv/bin/darts-tf demo

clean:                        ## everything that the other targets made
	rm -rf $(VENV) build dist *.egg-info runs/demo

$(VENV)/.package: setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade pip
	$(BIN)/python -m pip install -qq --editable .
	touch $@

$(VENV)/.tests: $(VENV)/.package
	$(BIN)/python -m pip install -qq --editable ".[test]"
	touch $@
