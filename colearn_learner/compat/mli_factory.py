"""Make learners by the names of a model and a data loader, with parameters for both.

A module that registers its loaders and models, and ends in

    get_mli = ExampleMliFactory().get_mli

can be used by `colearn agent run` and `colearn learner serve`:

    colearn agent run … --learner my_module:get_mli
        --learner-arg model_name=DIGITS_MLP --learner-arg 'model_params={"steps_per_epoch": 10}'
        --learner-arg dataloader_name=DIGITS --learner-arg 'dataset_params={"location": "mine"}'
"""

from __future__ import annotations

import abc
import copy
import inspect
import json
import logging
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from colearn_learner.compat.registry import FactoryRegistry
from colearn_learner.errors import InvalidArgument, InvalidValue
from colearn_learner.interface import DiffPrivConfig
from colearn_learner.names import UnknownName

_log = logging.getLogger(__name__)

Parameters = str | Mapping[str, Any]
"""Parameters by name, or the text of a JSON object of them."""


class MliFactory(abc.ABC):
    """Interface of factories that make learners by name."""

    def get_version(self) -> str:
        """Return the version of this package; 0.0.0 if it is not installed."""
        try:
            return version("colearn-ledger")
        except PackageNotFoundError:
            return "0.0.0"

    @abc.abstractmethod
    def get_models(self) -> dict[str, dict[str, Any]]:
        """Return the default parameters of each model, by its name."""

    @abc.abstractmethod
    def get_dataloaders(self) -> dict[str, dict[str, Any]]:
        """Return the default parameters of each data loader, by its name."""

    @abc.abstractmethod
    def get_compatibilities(self) -> Mapping[str, Collection[str]]:
        """Return the names of the data loaders that each model is compatible with."""

    @abc.abstractmethod
    def get_mli(
        self,
        model_name: str,
        model_params: Parameters,
        dataloader_name: str,
        dataset_params: Parameters,
    ) -> Any:
        """Return the learner of a model on the records of a data loader.

        Args:
            model_name: one of `get_models`.
            model_params: replace its default parameters.
            dataloader_name: one of the model's `get_compatibilities`.
            dataset_params: replace the loader's default parameters.
        """


class ExampleMliFactory(MliFactory):
    """Make learners of the models and loaders in `FactoryRegistry` at the time of the call.

    The name is the one that programs for the `colearn` library import.
    """

    def get_models(self) -> dict[str, dict[str, Any]]:
        """Return the default parameters of each registered model, by its name."""
        known = FactoryRegistry.model_architectures
        return {name: copy.deepcopy(one.default_parameters) for name, one in known.items()}

    def get_dataloaders(self) -> dict[str, dict[str, Any]]:
        """Return the default parameters of each registered data loader, by its name."""
        known = FactoryRegistry.dataloaders
        return {name: copy.deepcopy(one.default_parameters) for name, one in known.items()}

    def get_compatibilities(self) -> dict[str, list[str]]:
        """Return the compatible data loaders of each model, in the order of registration."""
        known = FactoryRegistry.model_architectures
        return {name: list(one.compatibilities) for name, one in known.items()}

    def get_mli(
        self,
        model_name: str,
        model_params: Parameters,
        dataloader_name: str,
        dataset_params: Parameters,
    ) -> Any:
        """Return the learner of a model on the records of a data loader.

        A parameter that the model or the loader does not have is ignored, with a warning.

        Args:
            model_name: a registered model.
            model_params: replace its default parameters; a ``diff_priv_config`` that is a
                mapping becomes a `DiffPrivConfig`.
            dataloader_name: a registered data loader that is compatible with the model.
            dataset_params: replace the loader's default parameters; ``location`` is among them.

        Raises:
            UnknownName: no such name is registered; the message lists the registered names.
            InvalidArgument: the two are not compatible, or parameters are not a JSON object or
                lack one without a default.
        """
        model = _registered("model", model_name, FactoryRegistry.model_architectures)
        loader = _registered("dataloader", dataloader_name, FactoryRegistry.dataloaders)
        if dataloader_name not in model.compatibilities:
            raise InvalidArgument(
                f"the model {model_name} is not compatible with the dataloader {dataloader_name};"
                f" it is compatible with: {', '.join(model.compatibilities) or 'none'}"
            )
        of_loader = _arguments(loader, f"dataloader {dataloader_name}", dataset_params)
        of_model = _arguments(model, f"model {model_name}", model_params)
        if isinstance(config := of_model.get("diff_priv_config"), Mapping):
            of_model["diff_priv_config"] = _privacy(config, model_name)
        return model.callable(data_loaders=loader.callable(**of_loader), **of_model)


def _registered(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        there_are = f"there are: {', '.join(known)}" if known else "none is registered"
        raise UnknownName(
            f"there is no {kind} {name!r}; {there_are}. Importing the module that defines one"
            " registers it"
        )
    return known[name]


def _arguments(known: Any, what: str, params: Parameters) -> dict[str, Any]:
    """Return the arguments of a registered function, except its data loaders."""
    taken = {
        parameter.name
        for parameter in inspect.signature(known.callable).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    } - {"data_loaders"}
    arguments: dict[str, Any] = copy.deepcopy(known.default_parameters)
    for name, value in _object(params, what).items():
        if name in taken:
            arguments[name] = value
        else:
            _log.warning("the %s has no parameter %s, so it is ignored", what, name)
    if missing := sorted(taken - arguments.keys()):
        raise InvalidArgument(f"the {what} needs the parameter {missing[0]}; give a value")
    return arguments


def _object(params: Parameters, what: str) -> Mapping[str, Any]:
    if isinstance(params, Mapping):
        return params
    try:
        found = json.loads(params)
    except (ValueError, TypeError) as error:
        raise InvalidArgument(
            f"the parameters of the {what} are not JSON: {error}; they are {str(params)[:80]!r}"
        ) from error
    if not isinstance(found, dict):
        raise InvalidArgument(
            f"the parameters of the {what} must be a JSON object, like"
            f' {{"name": 1}}, and are {str(params)[:80]}'
        )
    return found


def _privacy(config: Mapping[str, Any], model_name: str) -> DiffPrivConfig:
    try:
        return DiffPrivConfig(**config)
    except (TypeError, InvalidValue) as error:
        raise InvalidArgument(f"diff_priv_config of the model {model_name}: {error}") from error
