# The short ways: make setup | serve | test | lint | bench. `make serve PORT=9000` passes a port.
PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
# cpu: PyTorch's CPU wheels; cuda: the wheels with CUDA; auto: cuda where an NVIDIA driver is present.
TORCH ?= auto
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup tools serve test lint format bench fuzz sbom licences audit clean
.DEFAULT_GOAL := help

help:
	@echo "make setup   install everything into $(VENV) (TORCH=cpu|cuda|auto, now $(TORCH))"
	@echo "make tools   other people's tools that some tests check against, into $(VENV)-tools"
	@echo "make serve   the server on :$(PORT) with the bundled weights (HOST=0.0.0.0 to be reached from elsewhere)"
	@echo "make test    the whole test suite"
	@echo "make lint    formatting, types, import contracts"
	@echo "make bench   the benchmarks"
	@echo "make fuzz    fuzzes what reads strangers' bytes, SECONDS=60 for each of three targets"
	@echo "make sbom    a CycloneDX list of what is installed; make licences, make audit: licences, known vulnerabilities"

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

# Coverage-guided fuzzing of what reads strangers' bytes, SECONDS for each; findings and new inputs in build/fuzz.
SECONDS ?= 60
fuzz: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[fuzz]'
	for target in wire body image; do \
		mkdir -p build/fuzz/$$target && \
		$(BIN)/python -m tests.fuzz $$target build/fuzz/$$target -max_total_time=$(SECONDS) \
			-artifact_prefix=build/fuzz/$$target- || exit 1; \
	done

bench: setup
	$(BIN)/siamfc bench

# What is installed, by tools in an environment of their own.
$(VENV)-supply/.complete: supply/requirements.txt supply/constraints.txt
	$(PYTHON) -m venv $(VENV)-supply
	$(VENV)-supply/bin/python -m pip install --quiet -c supply/constraints.txt -r supply/requirements.txt
	@touch $@

sbom: setup $(VENV)-supply/.complete
	@mkdir -p build
	$(VENV)-supply/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json
	@echo "build/sbom.json"

licences: setup $(VENV)-supply/.complete
	@mkdir -p build
	$(VENV)-supply/bin/pip-licenses --python $(BIN)/python --format markdown --order license --with-urls --output-file build/licences.md

audit: setup $(VENV)-supply/.complete
	sh supply/audit.sh $(VENV)-supply $(VENV)

clean:
	rm -rf $(VENV) $(VENV)-tools $(VENV)-supply build dist
