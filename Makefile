# The short ways: make setup | serve | test | lint | bench. `make serve PORT=9000` passes a port.
PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
# cpu: PyTorch's CPU wheels; cuda: the wheels with CUDA; auto: cuda where an NVIDIA driver is present.
TORCH ?= auto
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup tools serve test lint format bench clean
.DEFAULT_GOAL := help

help:
	@echo "make setup   install everything into $(VENV) (TORCH=cpu|cuda|auto, now $(TORCH))"
	@echo "make tools   other people's tools that some tests check against, into $(VENV)-tools"
	@echo "make serve   the server on :$(PORT) with the bundled weights (HOST=0.0.0.0 to be reached from elsewhere)"
	@echo "make test    the whole test suite"
	@echo "make lint    formatting, types, import contracts"
	@echo "make bench   the benchmarks"

setup: $(VENV)/.complete

$(VENV)/.complete: pyproject.toml constraints.txt docker/install_torch.sh
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	TORCH=$(TORCH) TORCH_INDEX=$(TORCH_INDEX) sh docker/install_torch.sh $(BIN)/python constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[server,openvino,redis,train,export,tools,dev]'
	@touch $@

tools: $(VENV)-tools/.complete

$(VENV)-tools/.complete: tests/tools-requirements.txt tests/tools-constraints.txt
	$(PYTHON) -m venv $(VENV)-tools
	$(VENV)-tools/bin/python -m pip install --quiet -c tests/tools-constraints.txt -r tests/tools-requirements.txt
	if command -v npm >/dev/null; then \
		npm install --silent --no-fund --no-audit --prefix $(VENV)-tools openapi-typescript@7.13.0 typescript@5.9.3; \
	fi
	@touch $@

serve: setup
	$(BIN)/siamfc serve --host $(HOST) --port $(PORT)

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/siamfc bench

clean:
	rm -rf $(VENV) $(VENV)-tools build dist
