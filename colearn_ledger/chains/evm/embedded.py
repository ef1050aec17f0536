"""An EVM chain in this process: eth-tester and py-evm behind a provider of web3.py.

It is meant for demonstrations, simulations and tests: transactions, signatures, gas and contract
code are real, but no node is needed. The chain is in memory and ends with the process.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from eth.abc import BlockHeaderAPI, ComputationAPI
from eth.exceptions import Revert, VMError
from eth.vm.message import Message
from eth.vm.transaction_context import BaseTransactionContext
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import ValidationError as TesterValidationError
from eth_typing import Address
from eth_utils.address import to_canonical_address
from eth_utils.exceptions import ValidationError
from web3.providers.eth_tester import EthereumTesterProvider
from web3.types import RPCEndpoint, RPCResponse

from colearn_ledger.chains.evm.config import EvmConfig, EvmSenderConfig
from colearn_ledger.chains.evm.ledger import EvmLedger
from colearn_ledger.chains.evm.node import Node
from colearn_ledger.chains.evm.sender import Sender
from colearn_ledger.keys.wallet import Wallet
from colearn_ledger.protocol import Account

Clock = Callable[[], float]
"""Returns seconds since the epoch."""

Entropy = Callable[[int], bytes]
"""Returns the given number of random bytes."""

_COIN = 10**18
_INTRINSIC_GAS = 21_000
_ALLOWANCE = 100 * _COIN
"""Wei that `EmbeddedChain.fund` sends in one payment."""


class _Backend(PyEVMBackend):  # type: ignore[misc]  # eth-tester carries no types
    """eth-tester's backend, with the time and entropy of a public chain.

    Calls and estimates run in the pending block, whose time is that of the clock. A transaction
    reads the same ``prevrandao`` as its block.
    """

    def __init__(self, clock: Clock, entropy: Entropy, wealth: Mapping[bytes, int]) -> None:
        self._clock = clock
        self._entropy = entropy
        genesis = PyEVMBackend.generate_genesis_params({"timestamp": int(clock())})
        accounts = {
            address: {"balance": balance, "nonce": 0, "code": b"", "storage": {}}
            for address, balance in wealth.items()
        }
        super().__init__(genesis_parameters=genesis, genesis_state=accounts)

    def pending_header(self) -> BlockHeaderAPI:
        """Return the pending header; its time follows the clock until there is a transaction."""
        header: BlockHeaderAPI = self.chain.header
        if header.gas_used:
            return header
        earliest = self.chain.get_canonical_head().timestamp + 1
        due = max(earliest, int(self._clock()))
        if header.timestamp != due or not any(header.mix_hash):
            header = header.copy(timestamp=due, mix_hash=self._entropy(32))
            self.chain.header = header
        return header

    def send_raw_transaction(self, raw_transaction: bytes) -> bytes:
        self.pending_header()
        sent: bytes = super().send_raw_transaction(raw_transaction)
        return sent

    def mine_blocks(self, num_blocks: int = 1, coinbase: bytes = bytes(20)) -> tuple[bytes, ...]:
        mined = []
        for _ in range(num_blocks):
            header = self.pending_header()
            block = self.chain.mine_block(
                coinbase=coinbase, mix_hash=header.mix_hash, blob_gas_used=0
            )
            self.chain.header = self.chain.header.copy(mix_hash=bytes(32))
            mined.append(block.hash)
        return tuple(mined)

    def call(self, transaction: Mapping[str, Any], block_number: str | int = "latest") -> bytes:
        computation = self._execute(transaction, block_number)
        if computation.is_error:
            raise computation.error
        return bytes(computation.output)

    def estimate_gas(
        self, transaction: Mapping[str, Any], block_number: str | int = "latest"
    ) -> int:
        """Return the gas of one run before refunds.

        It is enough: calls of the contract make no calls. The constructor makes one, but storing
        the contract's code then uses more gas than the one-64th that was kept back.
        """
        computation = self._execute(transaction, block_number)
        if computation.is_error:
            raise computation.error
        data: bytes = transaction.get("data", b"")
        zeros = data.count(0)
        others = len(data) - zeros
        create = 32_000 + 2 * -(-len(data) // 32) if not transaction.get("to") else 0
        execution: int = 4 * zeros + 16 * others + create + int(computation.get_gas_used())
        return _INTRINSIC_GAS + max(execution, 10 * zeros + 40 * others)

    def _execute(self, transaction: Mapping[str, Any], block_number: str | int) -> ComputationAPI:
        """Execute a call without a fee, and revert its effects."""
        if isinstance(block_number, int):
            header = self.chain.get_canonical_block_header_by_number(block_number)
        else:
            header = self.pending_header()
        state = self.chain.get_vm(header).state
        sender, to = transaction["from"], transaction.get("to", b"")
        data = transaction.get("data", b"")
        message = Message(
            gas=header.gas_limit,
            to=to,
            sender=sender,
            value=0,
            data=data if to else b"",
            code=state.get_code(to) if to else data,
            create_address=None if to else Address(os.urandom(20)),  # type: ignore[arg-type]
        )
        context = BaseTransactionContext(gas_price=0, origin=sender)
        run = state.computation_class
        snapshot = state.snapshot()
        try:
            apply = run.apply_message if to else run.apply_create_message
            computation: ComputationAPI = apply(state, message, context)
            return computation
        finally:
            state.revert(snapshot)


class EmbeddedProvider(EthereumTesterProvider):
    """A provider of web3.py for a chain in this process; threads may share it.

    It reports reverts and refusals in the same way as real nodes. It indexes logs as blocks are
    made, because eth-tester searches all blocks of a range for every request.
    """

    def __init__(self, backend: _Backend) -> None:
        super().__init__(EthereumTester(backend))
        self._backend = backend
        self._lock = threading.RLock()
        self._logs: list[Mapping[str, Any]] = []

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Execute a request and return its response."""
        with self._lock:
            try:
                return self._answer(method, params)
            except Revert as revert:
                data = revert.args[0] if revert.args else b""
                return _error(3, "execution reverted", "0x" + bytes(data).hex())
            except (VMError, ValidationError, TesterValidationError) as refusal:
                return _error(-32_000, str(refusal))

    def _answer(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        if method == "eth_blockNumber":
            return _result(self._backend.chain.header.block_number - 1)
        if method == "eth_getLogs":
            return _result(self._matching(params[0]))
        if method == "eth_getBlockByNumber":
            self._backend.pending_header()
        response = super().make_request(method, params)
        if method == "eth_sendRawTransaction":
            receipt = super().make_request(
                RPCEndpoint("eth_getTransactionReceipt"), [response["result"]]
            )
            self._logs += receipt["result"]["logs"]
        return response

    def _matching(self, wanted: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        topics = [topic for topic in enumerate(wanted["topics"]) if topic[1] is not None]
        return [
            log
            for log in self._logs
            if wanted["from_block"] <= log["block_number"] <= wanted["to_block"]
            and log["address"] == wanted["address"]
            and all(tuple(log["topics"][at : at + 1]) == (topic,) for at, topic in topics)
        ]


def _result(result: Any) -> RPCResponse:
    return {"jsonrpc": "2.0", "id": 0, "result": result}


def _error(code: int, message: str, data: str | None = None) -> RPCResponse:
    error: Any = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": 0, "error": error}


class EmbeddedChain:
    """A chain in this process, with a rich account that funds wallets.

    Every transaction makes a block. A block's time is that of the clock, but at least a second
    after the previous block: many transactions at once make the chain's time run ahead.

    Args:
        clock: returns the time, in seconds since the epoch.
        entropy: returns random bytes for each block's ``prevrandao``.
    """

    def __init__(self, *, clock: Clock = time.time, entropy: Entropy = os.urandom) -> None:
        self._bank = Wallet.create()
        bank_address = to_canonical_address(self._bank.address)
        self._backend = _Backend(clock, entropy, {bank_address: 10**9 * _COIN})
        self.provider = EmbeddedProvider(self._backend)
        node = Node(self.provider)
        self._config = EvmConfig(
            chain_id=node.chain_id(),
            sending=EvmSenderConfig(fee_seconds=3_600),
            poll_seconds=0.02,
            log_range=1_000_000,
        )
        self._sender = Sender(node, node.chain_id(), self._config.sending)

    def fund(self, wallet: Wallet) -> None:
        """Send a wallet more coins than an experiment costs."""
        sent = self._sender.send(self._bank, wallet.address, b"", value=_ALLOWANCE)
        self._sender.wait(sent, None)

    def deploy(self, wallet: Wallet) -> EvmLedger:
        """Fund a wallet, deploy the contract with it, and return the ledger."""
        self.fund(wallet)
        return EvmLedger.deploy(self.provider, wallet, config=self._config)

    def ledger(self, contract: Account, wallet: Wallet) -> EvmLedger:
        """Fund a wallet, and return its ledger of a deployed contract."""
        self.fund(wallet)
        return EvmLedger.connect(self.provider, contract, wallet, config=self._config)
