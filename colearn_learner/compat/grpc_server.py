"""Serve the learners of a factory on this machine, under the name in the `colearn` library.

A client chooses the model and the data loader (`set up`). From then on the server is a
`LearnerServer` of that learner. Nothing is pickled.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, NoReturn

import grpc

from colearn_learner.compat.mli_factory import MliFactory
from colearn_learner.errors import LearnerError
from colearn_learner.remote.errors import CannotListen, Unprotected
from colearn_learner.remote.server import LearnerServer, ServerConfig, describe_error
from colearn_ledger.text import strict_json

_log = logging.getLogger(__name__)

SERVICE = "colearn.factory.v1.Factory"
"""Service with two methods: each takes and returns a JSON object."""
LIST_SUPPORTED, SET_UP = (f"/{SERVICE}/{name}" for name in ("ListSupported", "SetUp"))
DEFAULT_PORT = 9995


class NotSetUp(LearnerError):
    """Raised by every call to a server whose client has not chosen a model yet."""


class GRPCServer:
    """Server of one learner, which a client sets up. It listens on 127.0.0.1 only.

    To serve other machines, use `colearn_learner.remote.server.LearnerServer`, with TLS and a
    token.

    Args:
        mli_factory: factory that makes the learner.
        port: port to listen on; ``None``: 9995; 0: a free one.
        max_workers: accepted, without effect: a learner handles one call at a time.
        enable_encryption: must be false; see `refuse_encryption`.
        server_key: must be empty.
        server_crt: must be empty.

    Raises:
        Unprotected: encryption is requested.
    """

    def __init__(
        self,
        mli_factory: MliFactory,
        port: int | None = None,
        max_workers: int = 5,
        enable_encryption: bool = False,
        server_key: str = "",
        server_crt: str = "",
    ) -> None:
        if enable_encryption or server_key or server_crt:
            refuse_encryption()
        self.mli_factory = mli_factory
        self.port = DEFAULT_PORT if port is None else port
        self._server: LearnerServer | None = None
        self._stopped = threading.Event()

    def run(self, wait_for_termination: bool = True) -> None:
        """Start the server, and wait until `stop` is called. Replaces port 0 by the one chosen.

        Args:
            wait_for_termination: ``False``: return as soon as the server has started.

        Raises:
            CannotListen: the server runs already, or the port is taken.
        """
        if self._server is not None:
            raise CannotListen(f"the server runs already, on port {self.port}; stop it first")
        # made here and not in the constructor: programs fork between the two
        self._server = LearnerServer(
            _NoLearner(), ServerConfig(port=self.port), more_handlers=(self._handlers(),)
        )
        self._stopped.clear()
        try:
            self.port = self._server.start().port
        except CannotListen:
            self._server = None
            raise
        _log.info("serving learners on port %d of this machine", self.port)
        if wait_for_termination:
            self._stopped.wait()

    def stop(self) -> None:
        """Refuse new calls, and return when the current one is over."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._stopped.set()

    def _handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "ListSupported": grpc.unary_unary_rpc_method_handler(self._list_supported),
                "SetUp": grpc.unary_unary_rpc_method_handler(self._set_up),
            },
        )

    def _list_supported(self, _: bytes, context: Any) -> bytes:
        factory = self.mli_factory
        supported = {
            "version": factory.get_version(),
            "data_loaders": _dump_each(factory.get_dataloaders()),
            "model_architectures": _dump_each(factory.get_models()),
            "compatibilities": {
                model: sorted(loaders) for model, loaders in factory.get_compatibilities().items()
            },
        }
        return strict_json.dump(supported)

    def _set_up(self, request: bytes, context: Any) -> bytes:
        try:
            learner = self.mli_factory.get_mli(**strict_json.load(request))
        except Exception as error:  # noqa: BLE001 - a factory may raise anything
            _log.exception("the factory could not make the learner")
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, describe_error(error))
        if self._server is not None:
            self._server.replace_learner(learner)
        return strict_json.dump({})


def refuse_encryption() -> NoReturn:
    """Refuse encryption as in the `colearn` library, whose clients trust any certificate.

    Raises:
        Unprotected: always; the message names the replacement.
    """
    raise Unprotected(
        "this server and its client work on one machine only, without encryption. To reach another"
        " machine, use LearnerServer and RemoteLearner of colearn_learner.remote, with a"
        " certificate and a token (docs/remote.md)"
    )


def _dump_each(parameters: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: strict_json.dump(values).decode() for name, values in parameters.items()}


class _NoLearner:
    """Stand-in until a client has set up a learner."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotSetUp("no model is set up on this server; call setup_ml first")
