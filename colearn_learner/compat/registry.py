"""Register data loaders and models by name, as in the `colearn` library.

A program registers functions by decorators, loaders before the models that learn from them:

    @FactoryRegistry.register_dataloader("DIGITS")
    def loaders(location: str, batch_size: int = 32) -> Loaders: ...

    @FactoryRegistry.register_model_architecture("DIGITS_MLP", ["DIGITS"])
    def learner(data_loaders: Loaders, steps_per_epoch: int = 100) -> KerasLearner: ...

`ExampleMliFactory` then makes learners of them.
"""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, TypeVar

from colearn_learner.errors import LearnerError

_log = logging.getLogger(__name__)

_Function = TypeVar("_Function", bound=Callable[..., Any])
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class RegistryException(LearnerError):
    """A function cannot be registered; the message names the missing part."""


class FactoryRegistry:
    """The registry of the whole process. Use the class itself, without an instance."""

    class DataloaderDef(NamedTuple):
        """A data loader: the function, and its parameters that have a default."""

        callable: Callable[..., Any]
        default_parameters: dict[str, Any]

    class ModelArchitectureDef(NamedTuple):
        """A model: the function, its parameters with a default, and its compatible loaders."""

        callable: Callable[..., Any]
        default_parameters: dict[str, Any]
        compatibilities: list[str]

    dataloaders: ClassVar[dict[str, DataloaderDef]] = {}
    model_architectures: ClassVar[dict[str, ModelArchitectureDef]] = {}

    @classmethod
    def register_dataloader(cls, name: str) -> Callable[[_Function], _Function]:
        """Return a decorator that registers a function of ``location`` that returns loaders.

        Args:
            name: name to register. An existing entry is replaced, with a warning.

        Raises:
            RegistryException: the function has no parameter ``location``.
        """

        def wrap(dataloader: _Function) -> _Function:
            check_dataloader_callable(dataloader)
            _warn_of_replacing(name, cls.dataloaders, dataloader)
            cls.dataloaders[name] = cls.DataloaderDef(dataloader, _defaults(dataloader))
            return dataloader

        return wrap

    @classmethod
    def register_model_architecture(
        cls, name: str, compatibilities: list[str]
    ) -> Callable[[_Function], _Function]:
        """Return a decorator that registers a function of ``data_loaders`` that returns a learner.

        Args:
            name: name to register. An existing entry is replaced, with a warning.
            compatibilities: names of the data loaders that the model can learn from.

        Raises:
            RegistryException: the function fails `check_model_callable`.
        """

        def wrap(model_arch_creator: _Function) -> _Function:
            cls.check_model_callable(model_arch_creator, compatibilities)
            _warn_of_replacing(name, cls.model_architectures, model_arch_creator)
            defaults = _defaults(model_arch_creator)
            defaults.pop("data_loaders", None)  # the factory supplies them
            cls.model_architectures[name] = cls.ModelArchitectureDef(
                model_arch_creator, defaults, list(compatibilities)
            )
            return model_arch_creator

        return wrap

    @classmethod
    def check_model_callable(cls, to_call: Callable[..., Any], compatibilities: list[str]) -> None:
        """Check that a function can make learners from the results of these data loaders.

        Raises:
            RegistryException: the function has no parameter ``data_loaders``, a loader is not
                registered, or the annotation of the parameter differs from the return annotation
                of a loader.
        """
        parameters = inspect.signature(to_call).parameters
        if "data_loaders" not in parameters:
            raise RegistryException(
                f"{_name(to_call)} has no parameter data_loaders, which a model needs"
            )
        wanted = parameters["data_loaders"].annotation
        for name in compatibilities:
            if name not in cls.dataloaders:
                raise RegistryException(
                    f"the dataloader {name} is not registered. Register dataloaders before the"
                    f" models that name them; there are: {', '.join(cls.dataloaders) or 'none'}"
                )
            loader = cls.dataloaders[name].callable
            returned = inspect.signature(loader).return_annotation
            if not _same((loader, returned), (to_call, wanted)):
                raise RegistryException(
                    f"the dataloader {name} returns {_shown(returned)}, and data_loaders of"
                    f" {_name(to_call)} is {_shown(wanted)}: annotate both with the same type"
                )


def check_dataloader_callable(to_call: Callable[..., Any]) -> None:
    """Check that a function can be registered as a data loader.

    Raises:
        RegistryException: the function has no parameter ``location``.
    """
    if "location" not in inspect.signature(to_call).parameters:
        raise RegistryException(
            f"{_name(to_call)} has no parameter location, which a dataloader needs"
        )


def _defaults(to_call: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(to_call).parameters.values()
    return {
        p.name: p.default for p in parameters if p.kind in _BY_NAME and p.default is not p.empty
    }


def _warn_of_replacing(name: str, known: dict[str, Any], by: Callable[..., Any]) -> None:
    if name in known:
        _log.warning("%s is registered already; %s replaces it", name, _name(by))


# ------------------------------------------------------------------ annotations

_Annotated = tuple[Callable[..., Any], Any]
"""A function, and an annotation in its signature."""


def _same(one: _Annotated, other: _Annotated) -> bool:
    """Return whether two annotations are the same; compare texts if one cannot be resolved."""
    try:
        return bool(_resolved(*one) == _resolved(*other))
    except (NameError, AttributeError, SyntaxError, TypeError):
        return bool(one[1] == other[1])


def _resolved(function: Callable[..., Any], annotation: Any) -> Any:
    # resolved alone: the other annotations may need imports that only type checkers do
    names = getattr(inspect.unwrap(function), "__globals__", {})
    only = SimpleNamespace(__annotations__={"it": annotation})
    return typing.get_type_hints(only, globalns=names)["it"]


def _shown(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "not annotated"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
