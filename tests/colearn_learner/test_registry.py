"""The registry of data loaders and models accepts valid functions and refuses others."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from typing import TYPE_CHECKING, Any, List, Tuple  # noqa: UP035 - as in old programs

import numpy as np
import pytest

import colearn_learner
from colearn_learner import FactoryRegistry, LearnerError, RegistryException
from colearn_learner.compat.registry import check_dataloader_callable

if TYPE_CHECKING:
    from nowhere import Unresolvable

Loaders = Tuple[np.ndarray, np.ndarray]  # noqa: UP006


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FactoryRegistry, "dataloaders", {})
    monkeypatch.setattr(FactoryRegistry, "model_architectures", {})


def loaders(location: str, batch_size: int = 32) -> Loaders:
    return np.zeros(1), np.zeros(1)


def learner(data_loaders: Loaders, steps_per_epoch: int = 100, *, rate: float = 0.001) -> Any:
    return data_loaders, steps_per_epoch, rate


def register(loader: Any = loaders, model: Any = learner) -> None:
    FactoryRegistry.register_dataloader("DATA")(loader)
    FactoryRegistry.register_model_architecture("MODEL", ["DATA"])(model)


def test_registered_functions_are_found_with_their_defaults():
    register()
    found = FactoryRegistry.dataloaders["DATA"]
    assert found.callable is loaders
    assert found.default_parameters == {"batch_size": 32}
    model = FactoryRegistry.model_architectures["MODEL"]
    assert model.callable is learner
    assert model.default_parameters == {"steps_per_epoch": 100, "rate": 0.001}
    assert model.compatibilities == ["DATA"]
    assert (found[0], model[0]) == (loaders, learner)  # programs read them by position


def test_decorators_return_the_function_itself():
    assert FactoryRegistry.register_dataloader("DATA")(loaders) is loaders
    register_model = FactoryRegistry.register_model_architecture("MODEL", ["DATA"])
    assert register_model(learner) is learner


def test_defaults_may_be_arrays_and_omit_data_loaders():
    def load(location: str, mean: Any = np.zeros(3), **_rest: Any) -> None: ...  # noqa: B008
    def build(data_loaders: None = None, *_rest: Any) -> None: ...

    register(load, build)
    assert list(FactoryRegistry.dataloaders["DATA"].default_parameters) == ["mean"]
    assert FactoryRegistry.model_architectures["MODEL"].default_parameters == {}


def test_list_of_compatibilities_is_copied():
    register()
    given = ["DATA"]
    FactoryRegistry.register_model_architecture("OTHER", given)(learner)
    given.append("MORE")
    assert FactoryRegistry.model_architectures["OTHER"].compatibilities == ["DATA"]


def test_taken_name_is_replaced_with_a_warning(caplog, capsys):
    register()
    assert caplog.text == ""

    def another(location: str) -> Loaders: ...
    def model(data_loaders: Loaders) -> Any: ...

    register(another, model)
    assert FactoryRegistry.dataloaders["DATA"].callable is another
    assert FactoryRegistry.model_architectures["MODEL"].callable is model
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "DATA is registered already; another replaces it" in caplog.text
    assert "MODEL is registered already; model replaces it" in caplog.text
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------ refused registrations


def test_loader_without_location_is_refused():
    def nowhere(place: str) -> Loaders: ...

    with pytest.raises(RegistryException, match="nowhere has no parameter location"):
        FactoryRegistry.register_dataloader("DATA")(nowhere)
    with pytest.raises(RegistryException, match="location"):
        check_dataloader_callable(nowhere)
    assert FactoryRegistry.dataloaders == {}
    check_dataloader_callable(loaders)


def test_model_without_data_loaders_is_refused():
    def model(loaders: Loaders) -> Any: ...

    with pytest.raises(RegistryException, match="model has no parameter data_loaders"):
        register(model=model)
    assert FactoryRegistry.model_architectures == {}


def test_loaders_must_be_registered_before_their_models():
    with pytest.raises(RegistryException, match=r"LATER is not registered.*there are: none"):
        FactoryRegistry.register_model_architecture("MODEL", ["LATER"])(learner)
    register()
    with pytest.raises(RegistryException, match=r"LATER is not registered.*there are: DATA"):
        FactoryRegistry.register_model_architecture("OTHER", ["DATA", "LATER"])(learner)
    assert set(FactoryRegistry.model_architectures) == {"MODEL"}


def test_each_loader_of_a_model_is_checked():
    def load_list(location: str) -> List[int]: ...  # noqa: UP006

    register()
    FactoryRegistry.register_dataloader("LIST")(load_list)
    with pytest.raises(RegistryException, match="the dataloader LIST returns List"):
        FactoryRegistry.register_model_architecture("BOTH", ["DATA", "LIST"])(learner)


def test_registry_errors_derive_from_the_packages_error():
    assert issubclass(RegistryException, LearnerError)


# ------------------------------------------------------------------ annotations


def make_annotated(returned: Any, wanted: Any) -> tuple[Any, Any]:
    """Return a loader and a model with these annotations, which may be strings."""

    def load(location: str): ...
    def build(data_loaders): ...

    load.__annotations__ = {"location": "str"} | ({} if returned is None else {"return": returned})
    build.__annotations__ = {} if wanted is None else {"data_loaders": wanted}
    return load, build


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        (Loaders, Loaders),
        (Loaders, "Loaders"),
        ("Loaders", Tuple[np.ndarray, np.ndarray]),  # noqa: UP006
        ("Tuple[np.ndarray, np.ndarray]", "Loaders"),
        ("Tuple['np.ndarray', np.ndarray]", "Loaders"),
        ("Unresolvable", "Unresolvable"),
        ("not Python", "not Python"),
        ("np.no_such_type", "np.no_such_type"),
        (None, None),
    ],
)
def test_equal_types_may_be_written_differently(returned: Any, wanted: Any):
    register(*make_annotated(returned, wanted))
    assert set(FactoryRegistry.model_architectures) == {"MODEL"}


@pytest.mark.parametrize(
    ("returned", "wanted", "message"),
    [
        (Loaders, List[int], "DATA returns .*Tuple.*data_loaders of build is .*List"),  # noqa: UP006
        ("Loaders", "List[int]", r"returns Loaders, and data_loaders of build is List\[int\]"),
        ("Unresolvable", "Loaders", "returns Unresolvable"),
        ("Loaders", "Unresolvable", "is Unresolvable"),
        (None, Loaders, "returns not annotated"),
        (Loaders, None, "is not annotated"),
    ],
)
def test_different_types_are_refused_and_both_named(returned: Any, wanted: Any, message: str):
    with pytest.raises(RegistryException, match=message):
        register(*make_annotated(returned, wanted))


def test_unrelated_unresolvable_annotations_are_ignored():
    def load(location: Unresolvable) -> "Tuple[np.ndarray, np.ndarray]": ...  # noqa: UP006, UP037
    def build(data_loaders: Loaders) -> Unresolvable: ...

    register(load, build)
    assert set(FactoryRegistry.model_architectures) == {"MODEL"}


def test_text_annotations_are_resolved_in_their_functions_module():
    """One name may mean different types in different modules."""
    variables: dict[str, Any] = {"Loaders": int}
    exec("def build(data_loaders: 'Loaders'): ...", variables)
    with pytest.raises(RegistryException, match="annotate both"):
        register(model=variables["build"])


def test_wrapped_functions_use_the_inner_signature():
    @functools.wraps(loaders)
    def wrapped(*given: Any, **named: Any) -> Any:
        return loaders(*given, **named)

    register(wrapped, functools.partial(learner, rate=0.1))
    assert FactoryRegistry.dataloaders["DATA"].default_parameters == {"batch_size": 32}
    assert FactoryRegistry.model_architectures["MODEL"].default_parameters["rate"] == 0.1


# ------------------------------------------------------------------ the package


def test_registry_is_exported_lazily_by_the_package():
    names = ("FactoryRegistry", "RegistryException", "MliFactory", "ExampleMliFactory")
    assert all(getattr(colearn_learner, name).__name__ == name for name in names)
    program = "import colearn_learner, sys; print([m for m in sys.modules if m[:8] == 'colearn_'])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(done.stdout) == ["colearn_learner"]
