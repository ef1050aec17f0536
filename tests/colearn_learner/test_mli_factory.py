"""ExampleMliFactory makes registered learners for programs and for agents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from colearn_learner import DiffPrivConfig, ExampleMliFactory, FactoryRegistry, MliFactory
from colearn_learner.cli import main
from colearn_learner.cli._support.factories import load_learner, parse_arguments
from colearn_learner.datasets import split_to_folders
from colearn_learner.errors import InvalidArgument, LearnerError
from colearn_learner.learners.sklearn import SklearnLearner
from colearn_learner.names import UnknownName
from tests.support import registered_learners
from tests.support.remote_servers import ServerProcess, connect_learner

PRIVACY = {
    "target_epsilon": 1.0,
    "target_delta": 1e-5,
    "max_grad_norm": 1.5,
    "noise_multiplier": 1.3,
}


def loaders(location: str, batch_size: int = 32, names: Any = ("a",)) -> dict[str, Any]:
    return {"location": location, "batch_size": batch_size, "names": names}


def model(
    data_loaders: dict[str, Any],
    steps_per_epoch: int = 100,
    diff_priv_config: DiffPrivConfig | None = None,
    layers: Any = [1],  # noqa: B006 - the factory must return a copy
) -> Any:
    given = {"steps_per_epoch": steps_per_epoch, "layers": layers}
    return SimpleNamespace(data=data_loaders, diff_priv_config=diff_priv_config, **given)


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> ExampleMliFactory:
    """Return a factory that is created before anything is registered."""
    monkeypatch.setattr(FactoryRegistry, "dataloaders", {})
    monkeypatch.setattr(FactoryRegistry, "model_architectures", {})
    made = ExampleMliFactory()
    for name in ("DATA", "MORE", "OTHER"):
        FactoryRegistry.register_dataloader(name)(loaders)
    FactoryRegistry.register_model_architecture("MODEL", ["MORE", "DATA"])(model)
    FactoryRegistry.register_model_architecture("LONELY", [])(model)
    return made


def make_mli(factory: MliFactory, model_params: Any = "{}", dataset_params: Any = None) -> Any:
    place = json.dumps({"location": "here"}) if dataset_params is None else dataset_params
    return factory.get_mli("MODEL", model_params, "DATA", place)


# ------------------------------------------------------------------ registered models and loaders


def test_factory_lists_registered_models_and_loaders(factory: ExampleMliFactory):
    defaults = {"steps_per_epoch": 100, "diff_priv_config": None, "layers": [1]}
    assert factory.get_models() == {"MODEL": defaults, "LONELY": defaults}
    of_loader = {"batch_size": 32, "names": ("a",)}
    assert factory.get_dataloaders() == dict.fromkeys(("DATA", "MORE", "OTHER"), of_loader)
    assert factory.get_compatibilities() == {"MODEL": ["MORE", "DATA"], "LONELY": []}
    assert factory.get_version()[0].isdigit()


def test_returned_parameters_are_copies(factory: ExampleMliFactory):
    """Programs change the returned defaults, as the ancestor's demo does."""
    factory.get_models()["MODEL"]["layers"].append(2)
    factory.get_dataloaders()["DATA"]["batch_size"] = 1
    factory.get_compatibilities()["MODEL"].clear()
    make_mli(factory).layers.append(3)
    assert make_mli(factory).layers == [1]
    assert make_mli(factory).data["batch_size"] == 32


def test_custom_factory_needs_four_methods():
    class OnlyOne(MliFactory):
        def get_models(self):
            return {"ONE": {}}

        def get_dataloaders(self):
            return {"ONE": {}}

        def get_compatibilities(self):
            return {"ONE": {"ONE"}}

        def get_mli(self, model_name, model_params, dataloader_name, dataset_params):
            return model_name, dataloader_name

    assert OnlyOne().get_mli("ONE", "{}", "ONE", "{}") == ("ONE", "ONE")
    assert OnlyOne().get_version() == ExampleMliFactory().get_version()
    with pytest.raises(TypeError, match="abstract"):
        MliFactory()  # type: ignore[abstract]


# ------------------------------------------------------------------ parameters


@pytest.mark.parametrize("form", [json.dumps, dict], ids=["JSON", "mapping"])
def test_parameters_replace_defaults(factory: ExampleMliFactory, form: Any):
    learner = make_mli(
        factory, form({"steps_per_epoch": 20}), form({"location": "there", "batch_size": 8})
    )
    assert learner.steps_per_epoch == 20
    assert learner.data == {"location": "there", "batch_size": 8, "names": ("a",)}
    assert make_mli(factory).steps_per_epoch == 100


@pytest.mark.parametrize("form", [json.dumps, dict], ids=["JSON", "mapping"])
def test_privacy_configuration_may_be_a_mapping(factory: ExampleMliFactory, form: Any):
    learner = make_mli(factory, form({"diff_priv_config": PRIVACY}))
    assert learner.diff_priv_config == DiffPrivConfig(**PRIVACY)
    assert make_mli(factory, {"diff_priv_config": None}).diff_priv_config is None
    config = DiffPrivConfig(**PRIVACY)
    assert make_mli(factory, {"diff_priv_config": config}).diff_priv_config is config


def test_unknown_parameter_is_ignored_with_a_warning(factory: ExampleMliFactory, caplog, capsys):
    learner = make_mli(
        factory,
        {"step_per_epoch": 1, "data_loaders": "mine", "layers": [7]},
        {"location": "here", "train_ratio": 0.5},
    )
    assert learner.layers == [7]
    assert learner.steps_per_epoch == 100
    assert learner.data["location"] == "here"
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    for what, name in [
        ("dataloader DATA", "train_ratio"),
        ("model MODEL", "step_per_epoch"),
        ("model MODEL", "data_loaders"),
    ]:
        assert f"the {what} has no parameter {name}" in caplog.text
    assert capsys.readouterr().out == ""


def test_parameters_without_default_must_be_given(factory: ExampleMliFactory):
    def build_model(data_loaders: dict[str, Any], depth: int, **_rest: Any) -> Any:
        return depth

    FactoryRegistry.register_model_architecture("MODEL", ["DATA"])(build_model)
    assert make_mli(factory, {"depth": 3, "more": 1}) == 3
    with pytest.raises(InvalidArgument, match="model MODEL needs the parameter depth"):
        make_mli(factory)


# ------------------------------------------------------------------ refused arguments


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("MODLE", "DATA"), UnknownName, "no model 'MODLE'; there are: MODEL, LONELY"),
        (("MODEL", "DAT"), UnknownName, "no dataloader 'DAT'; there are: DATA, MORE, OTHER"),
        (
            ("MODEL", "OTHER"),
            InvalidArgument,
            "MODEL is not compatible with.* OTHER; .*: MORE, DATA",
        ),
        (("LONELY", "DATA"), InvalidArgument, "LONELY is not compatible with.* DATA; .*: none"),
    ],
)
def test_unknown_name_error_lists_the_registered_names(factory, names, error, message):
    with pytest.raises(error, match=message) as refused:
        factory.get_mli(names[0], "{}", names[1], '{"location": "here"}')
    assert isinstance(refused.value, LearnerError)


def test_error_reports_that_nothing_is_registered(factory: ExampleMliFactory):
    FactoryRegistry.model_architectures.clear()
    with pytest.raises(UnknownName, match=r"none is registered.*mporting the module"):
        make_mli(factory)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("", "are not JSON"),
        ("{steps: 1}", "are not JSON.*steps: 1"),
        ("{", "are not JSON"),
        (None, "are not JSON"),
        (12, "are not JSON"),
        ("[1, 2]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
    ],
)
@pytest.mark.parametrize("of", ["model MODEL", "dataloader DATA"])
def test_parameters_that_are_not_an_object_are_refused(factory, params: Any, message: str, of: str):
    given = ("{}", params) if of.startswith("dataloader") else (params, '{"location": "here"}')
    with pytest.raises(InvalidArgument, match=f"parameters of the {of} {message}"):
        factory.get_mli("MODEL", given[0], "DATA", given[1])


def test_missing_location_is_named(factory: ExampleMliFactory):
    with pytest.raises(InvalidArgument, match="dataloader DATA needs the parameter location"):
        make_mli(factory, dataset_params="{}")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**PRIVACY, "epsilon": 1}, "epsilon"),
        ({"target_epsilon": 1}, "missing"),
        ({**PRIVACY, "target_delta": "little"}, "target_delta"),
    ],
)
def test_invalid_privacy_configuration_is_refused(factory, config, message: str):
    with pytest.raises(InvalidArgument, match=f"diff_priv_config of the model MODEL: .*{message}"):
        make_mli(factory, {"diff_priv_config": config})


def test_parameters_are_checked_before_the_data_is_loaded(factory: ExampleMliFactory):
    def slow(location: str) -> dict[str, Any]:
        raise AssertionError("the data was loaded")

    FactoryRegistry.register_dataloader("DATA")(slow)
    with pytest.raises(InvalidArgument, match="not JSON"):
        make_mli(factory, "{")


# ------------------------------------------------------------------ as an agent's factory

FACTORY = "tests.support.registered_learners:get_mli"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("prepared") / "out"
    return split_to_folders("breast-cancer", n_learners=4, shuffle_seed=1, output_folder=place)[0]


def format_options(folder: str, **model_params: Any) -> list[str]:
    """Return the values of --learner-arg."""
    arguments: Mapping[str, Any] = {
        "model_name": "LINEAR",
        "model_params": json.dumps(model_params),
        "dataloader_name": "PREPARED",
        "dataset_params": json.dumps({"location": folder, "scale": 0.5}),
    }
    return [f"{name}={value}" for name, value in arguments.items()]


def test_command_line_arguments_reach_the_factory(folder: str):
    learner = load_learner(FACTORY, parse_arguments(format_options(folder, steps_per_epoch=3)))
    assert isinstance(learner, SklearnLearner)
    once = load_learner(FACTORY, parse_arguments(format_options(folder)))
    assert learner.mli_propose_weights() != once.mli_propose_weights()
    before = learner.mli_test_weights(learner.mli_get_current_weights()).vote_score
    assert learner.mli_test_weights(learner.mli_propose_weights()).vote_score > before


def test_learner_from_the_factory_passes_the_conformance_kit(folder: str):
    assert registered_learners.get_mli
    given = [part for option in format_options(folder) for part in ("--learner-arg", option)]
    ran = CliRunner().invoke(main, ["learner", "check", FACTORY, *given, "--json"])
    assert ran.exit_code == 0, ran.output
    verdicts = {c["name"]: c["verdict"] for c in json.loads(ran.stdout)["checks"]}
    assert verdicts["another-process-agrees"] == "passed"


def test_misspelled_model_is_reported_in_one_line(folder: str):
    given = format_options(folder)
    given[0] = "model_name=LINAER"
    typed = [part for option in given for part in ("--learner-arg", option)]
    ran = CliRunner().invoke(main, ["learner", "serve", "--learner", FACTORY, *typed])
    assert ran.exit_code == 2
    assert re.search("no model 'LINAER'; there are: .*LINEAR", ran.stderr)
    assert "Traceback" not in ran.output


def test_learner_from_the_factory_can_be_served_to_agents(folder: str):
    here = load_learner(FACTORY, parse_arguments(format_options(folder)))
    given = [f"--learner-arg={option}" for option in format_options(folder)]
    with ServerProcess(FACTORY, *given) as server, connect_learner(server.address) as there:
        proposed = there.mli_propose_weights()
    assert here.mli_propose_weights() == proposed
