# `make` lists the targets. Each works in a clean clone.
PYTHON ?= python3
VENV := .venv/bin
TOOLS := $(VENV)/python scripts/tools.py

.DEFAULT_GOAL := help
.PHONY: help demo localnet-demo check test test-long lint docs format contract proto cosmwasm constraints clean setup-demo setup-localnet setup-dev

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

demo: setup-demo ## run one experiment on an embedded chain: five hospitals train one model
	@./colearn demo $(ARGS)

localnet-demo: setup-localnet ## run it on real nodes: chain, IPFS, contract, keys, five agent processes, history
	@$(VENV)/python scripts/install_nodes.py $(if $(findstring cosmos,$(ARGS)),wasmd$(addprefix -,$(filter 0.%,$(subst =, ,$(ARGS)))),anvil) kubo
	@./colearn quickstart $(ARGS)

check: setup-dev ## formatters, linters, type checker and the fast tests, in about three minutes
	@$(VENV)/python scripts/check.py check

test: setup-dev ## run every check and every test
	@$(VENV)/python scripts/check.py test

lint: setup-dev ## formatters, linters, type checker
	@$(VENV)/python scripts/check.py lint

format: setup-dev ## format Python and Solidity in place
	@$(VENV)/ruff format .
	@$(VENV)/ruff check --fix .
	@$(TOOLS) node -- sh -c '$(VENV)/python scripts/install_npm_packages.py && cd contracts/evm && npm run --silent format'

docs: setup-dev ## build the documentation's site into build/docs, strictly
	@$(VENV)/python scripts/build_docs.py

contract: setup-dev ## compile the contract and put the artifact into the Python package
	@$(TOOLS) node -- $(VENV)/python scripts/install_npm_packages.py
	@$(TOOLS) node -- $(VENV)/python scripts/build_contract.py

proto: setup-dev ## generate the Python code of the remote learner's protocol
	@$(VENV)/python scripts/build_proto.py

cosmwasm: setup-dev ## compile the CosmWasm contract and put the wasm into the Python package
	@$(VENV)/python scripts/build_cosmwasm.py

embedded: setup-dev ## compile the EVM of the embedded chain and put the wasm into the Python package
	@$(VENV)/python scripts/build_embedded.py

test-long: setup-dev ## run in full what `make test` runs in a reduced version
	@$(VENV)/python scripts/check.py long

constraints: setup-dev ## write the installed versions to constraints.txt
	@$(VENV)/python scripts/constraints.py

clean: ## remove the files that the other targets create
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	rm -rf contracts/evm/node_modules contracts/evm/out contracts/evm/cache
	rm -rf contracts/cosmwasm/target contracts/cosmwasm/traces contracts/cosmwasm/Cargo.lock
	rm -rf contracts/embedded/target contracts/embedded/Cargo.lock

setup-demo:
	@$(PYTHON) scripts/setup.py demo

setup-localnet:
	@$(PYTHON) scripts/setup.py localnet

setup-dev:
	@$(PYTHON) scripts/setup.py dev
