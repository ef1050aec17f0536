"""Client of a `GRPCServer`, under the name in the `colearn` library."""

from __future__ import annotations

import logging
from typing import Any

import grpc

from colearn_learner.compat.grpc_server import LIST_SUPPORTED, SET_UP, refuse_encryption
from colearn_learner.errors import LearnerError
from colearn_learner.remote.client import RemoteConfig, RemoteLearner
from colearn_ledger.text import strict_json

_log = logging.getLogger(__name__)

_PATIENCE = 120.0  # seconds; a server imports its frameworks before it answers


class GRPCClientException(LearnerError):
    """Raised when the server does not answer at the start; the message explains why."""


class ExampleGRPCLearnerClient(RemoteLearner):
    """A learner behind a `GRPCServer` on this machine.

    Call `start` and `setup_ml` first; then it has the five methods of a learner.

    Args:
        name: shown in the log.
        address: ``127.0.0.1:port``.
        enable_encryption: must be false; see `refuse_encryption`.

    Raises:
        Unprotected: encryption is requested, or the server is on another machine.
        InvalidAddress: the text is not an address.
    """

    def __init__(self, name: str, address: str, enable_encryption: bool = False) -> None:
        if enable_encryption:
            refuse_encryption()
        super().__init__(f"grpc://{address}", RemoteConfig(patience=_PATIENCE))
        self.name = name

    def start(self) -> None:
        """Connect to the server; wait up to two minutes until it answers.

        Raises:
            GRPCClientException: the server does not answer, or is another kind of server.
        """
        try:
            self._make_ready(patience=_PATIENCE)
            self.get_supported_system()
        except LearnerError as error:
            raise GRPCClientException(f"{self.name} cannot connect: {error}") from error

    def stop(self) -> None:
        """Close the connection. The server continues."""
        self.close()

    def get_version(self) -> str:
        """Return the version of the server's factory."""
        return str(self._ask(LIST_SUPPORTED, {})["version"])

    def get_supported_system(self) -> dict[str, dict[str, Any]]:
        """Return what the server's factory can make, by name.

        ``data_loaders`` and ``model_architectures`` have default parameters as JSON texts,
        ``compatibilities`` the names of each model's data loaders.

        Raises:
            LearnerUnavailable, LearnerRefused: see `RemoteLearner.reach`.
        """
        supported = self._ask(LIST_SUPPORTED, {})
        return {name: value for name, value in supported.items() if name != "version"}

    def setup_ml(
        self,
        dataset_loader_name: str,
        dataset_loader_parameters: str,
        model_arch_name: str,
        model_parameters: str,
    ) -> bool:
        """Have the server make a learner; return whether it did. The log has the reason if not.

        Args:
            dataset_loader_name: one of the factory's data loaders.
            dataset_loader_parameters: its parameters, the text of a JSON object.
            model_arch_name: one of the factory's models.
            model_parameters: its parameters, the text of a JSON object.
        """
        choice = {
            "model_name": model_arch_name,
            "model_params": model_parameters,
            "dataloader_name": dataset_loader_name,
            "dataset_params": dataset_loader_parameters,
        }
        try:
            self._ask(SET_UP, choice)
        except LearnerError as error:
            _log.error("%s: the model %s is not set up: %s", self.name, model_arch_name, error)
            return False
        self._forget_weights()
        return True

    def _ask(self, method: str, request: dict[str, str]) -> dict[str, Any]:
        call = self._open_channel().unary_unary(method)
        try:
            answer = call(strict_json.dump(request), timeout=self._config.deadline)
        except grpc.RpcError as error:
            raise self._translate_error(error) from error
        found: dict[str, Any] = strict_json.load(answer)
        return found
