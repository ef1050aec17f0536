"""Keras learners with differential privacy, on handwritten digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from colearn_learner.checks.kit import Verdict, check_learner
from colearn_learner.errors import InvalidArgument, InvalidData, UnsupportedModel
from colearn_learner.learners.keras import KerasLearner
from colearn_learner.learners.privacy.keras import PrivateFit, make_clipped_sum
from tests.support.budget_contract import BudgetContract, Make, config

INPUTS, TARGETS = load_digits(return_X_y=True)
INPUTS = INPUTS.astype("float32") / 16


def share(start: int, stop: int) -> tuple[Any, Any]:
    return INPUTS[start:stop], TARGETS[start:stop]


def make_model(*layers: Any, optimizer: Any = None) -> Any:
    keras.utils.set_random_seed(1)
    layers = layers or (keras.layers.Dense(10, activation="softmax"),)
    model = keras.Sequential([keras.Input((64,)), *layers])
    model.compile(
        optimizer or keras.optimizers.SGD(1.0),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def learner(model: Any = None, **options: Any) -> KerasLearner:
    chosen: dict[str, Any] = {
        "train_loader": share(0, 600),
        "vote_loader": share(600, 900),
        "test_loader": share(900, 1200),
        "model_fit_kwargs": {"batch_size": 60, "steps_per_epoch": 4},
        "diff_priv_config": config(),
        "noise_seed": 1,
    }
    return KerasLearner(model or make_model(), **(chosen | options))


def flatten(arrays: Any) -> Any:
    return np.concatenate([np.ravel(array) for array in arrays])


def compute_change(one: KerasLearner) -> Any:
    """Train once and return the change of the weights."""
    return flatten(one.mli_propose_weights().weights) - flatten(
        one.mli_get_current_weights().weights
    )


def compute_gradients(model: Any, count: int) -> Any:
    """Return the gradient of each of the first records, as Keras computes it."""
    import tensorflow as tf

    found = []
    for n in range(count):
        with tf.GradientTape() as tape:
            outputs = model(INPUTS[n : n + 1], training=True)
            loss = model.compute_loss(y=TARGETS[n : n + 1], y_pred=outputs)
        variables = [variable.value for variable in model.trainable_variables]
        found.append(flatten(g.numpy() for g in tape.gradient(loss, variables)))
    return np.array(found)


def clip(each: Any, norm: float) -> Any:
    sizes = np.linalg.norm(each, axis=1, keepdims=True)
    return each * np.minimum(1, norm / sizes)


class TestClipping:
    @pytest.mark.parametrize("clips", ["all", "some", "none"])
    def test_gradients_are_clipped_for_each_record_and_added(self, clips: str):
        model = make_model(keras.layers.Dense(8, "relu"), keras.layers.Dense(10, "softmax"))
        each = compute_gradients(model, 7)
        middle = float(np.median(np.linalg.norm(each, axis=1)))
        norm = {"all": 0.01, "some": middle, "none": 100.0}[clips]
        found = make_clipped_sum(model, norm)(*share(0, 7), np.ones(7, "float32"))
        np.testing.assert_allclose(flatten(found), clip(each, norm).sum(0), atol=2e-6 * norm + 1e-6)

    def test_padding_records_add_nothing(self):
        function = make_clipped_sum(make_model(), 1.0)
        counts = np.array([1, 0, 1, 0], "float32")
        found = function(*share(0, 4), counts)
        np.testing.assert_allclose(
            flatten(found), clip(compute_gradients(make_model(), 3), 1.0)[[0, 2]].sum(0), atol=1e-6
        )

    def test_record_without_finite_gradient_adds_nothing(self):
        inputs, targets = share(0, 2)
        inputs = np.array([inputs[0], np.full(64, np.inf, "float32")])
        found = make_clipped_sum(make_model(), 1.0)(inputs, targets, np.ones(2, "float32"))
        np.testing.assert_allclose(
            flatten(found), clip(compute_gradients(make_model(), 1), 1.0)[0], atol=1e-6
        )

    def test_noiseless_step_on_one_record_is_its_clipped_gradient(self):
        model = make_model()
        start, gradient = flatten(model.get_weights()), compute_gradients(model, 1)
        quiet = config(max_grad_norm=0.125, noise_multiplier=0.0)  # learners refuse this setting
        PrivateFit(model, share(0, 1), {}, quiet, None).run()
        step = start - flatten(model.get_weights())
        np.testing.assert_allclose(step, clip(gradient, 0.125)[0], atol=1e-7)
        assert np.linalg.norm(step) == pytest.approx(0.125, rel=1e-5)

    def test_one_record_changes_a_step_by_at_most_the_norm(self):
        def step(targets: Any) -> Any:
            model = make_model()
            start = flatten(model.get_weights())
            quiet = config(max_grad_norm=0.5, noise_multiplier=0.0)
            fit = {"batch_size": 20, "epochs": 1}
            PrivateFit(model, (INPUTS[:20], targets), fit, quiet, None).run()
            return (start - flatten(model.get_weights())) * 20

        other = np.array(TARGETS[:20])
        other[3] = (other[3] + 1) % 10
        changed = np.linalg.norm(step(TARGETS[:20]) - step(other))
        assert 0 < changed <= 2 * 0.5 * (1 + 1e-5)  # one gradient removed and another one added


class TestNoise:
    def test_noise_has_the_configured_standard_deviation(self):
        noisy = config(noise_multiplier=3.0, max_grad_norm=2.0, target_epsilon=100.0)
        one = learner(
            diff_priv_config=noisy, model_fit_kwargs={"batch_size": 60, "steps_per_epoch": 1}
        )
        moved = (
            compute_change(one) * 60
        )  # 60 records are expected; gradients add little to each of 650
        assert np.std(moved) == pytest.approx(3.0 * 2.0, rel=0.15)

    def test_noise_ignores_global_seeds(self):
        def proposal() -> Any:
            keras.utils.set_random_seed(7)
            return compute_change(learner(noise_seed=None))

        assert not np.allclose(proposal(), proposal())

    def test_noise_seed_repeats_the_noise_and_warns(self, caplog):
        first, second = learner(noise_seed=5), learner(noise_seed=5)
        np.testing.assert_array_equal(compute_change(first), compute_change(second))
        assert not np.allclose(compute_change(first), compute_change(learner(noise_seed=6)))
        assert "nothing is private" in caplog.text

    def test_step_without_records_adds_noise(self):
        fit = {"batch_size": 1, "steps_per_epoch": 1}
        one = learner(model_fit_kwargs=fit)
        one._private_fit._random = Unlucky()
        assert np.count_nonzero(compute_change(one)) == 650


class Unlucky:
    """A random generator that draws no records."""

    def random(self, count: int) -> Any:
        return np.ones(count)

    def standard_normal(self, shape: Any, kind: str) -> Any:
        return np.ones(shape, kind)


class TestSampling:
    def test_records_are_drawn_with_the_accounted_probability(self):
        ample = config(target_epsilon=50.0)
        one = learner(diff_priv_config=ample, model_fit_kwargs={"batch_size": 150, "epochs": 2})
        assert (one._private_fit.sample_rate, one._private_fit.steps) == (0.25, 8)
        drawn: list[Any] = []
        original = one._private_fit._sum_gradients
        one._private_fit._sum_gradients = lambda places: drawn.append(places) or original(places)
        one.mli_propose_weights()
        counts = np.bincount(np.concatenate(drawn), minlength=600)
        assert counts.max() <= 8  # at most once per step
        assert counts.mean() == pytest.approx(2.0, abs=0.3)
        assert counts.var() == pytest.approx(8 * 0.25 * 0.75, abs=0.5)

    def test_records_that_cannot_be_sampled_are_refused(self):
        import tensorflow as tf

        batches = tf.data.Dataset.from_tensor_slices(share(0, 100)).batch(10)
        for loader in (batches, iter([share(0, 10)]), INPUTS):
            with pytest.raises(InvalidArgument, match="pair of arrays"):
                learner(train_loader=loader)
        for inputs, targets in ((INPUTS[:3], TARGETS[:2]), (INPUTS[:0], TARGETS[:0])):
            with pytest.raises(InvalidData, match="as many targets as inputs"):
                learner(train_loader=(inputs, targets))

    def test_scoring_on_training_records_is_refused(self):
        records = share(0, 600)
        for scored in ({"vote_loader": None}, {"vote_loader": records}, {"test_loader": records}):
            with pytest.raises(InvalidArgument, match="other records"):
                learner(train_loader=records, **scored)

    @pytest.mark.parametrize(
        ("kwargs", "named"),
        [
            ({"shuffle": False}, "'shuffle'"),
            ({"class_weight": {0: 2.0}}, "'class_weight'"),
            ({"batch_size": 0}, "batch_size is 0"),
            ({"epochs": 1.5}, "epochs is 1.5"),
        ],
    )
    def test_unsupported_fit_arguments_are_refused(self, kwargs: Any, named: str):
        with pytest.raises(InvalidArgument, match=named):
            learner(model_fit_kwargs=kwargs)


class TestModels:
    def test_layer_that_mixes_records_is_refused_by_name(self):
        layer = keras.layers.BatchNormalization(name="mixing")
        inner = keras.Sequential([layer, keras.layers.Dense(10, "softmax")])
        with pytest.raises(UnsupportedModel, match="'mixing'"):
            learner(make_model(inner))

    @pytest.mark.parametrize("options", [{}, {"diff_priv_config": None, "noise_seed": None}])
    def test_optimizer_of_tensorflow_privacy_is_refused(self, options: dict[str, Any]):
        module = "tensorflow_privacy.privacy.optimizers.dp_optimizer_keras"
        kind = type("DPKerasSGDOptimizer", (keras.optimizers.SGD,), {"__module__": module})
        with pytest.raises(UnsupportedModel, match=r"DPKerasSGDOptimizer .*diff_priv_config"):
            learner(make_model(optimizer=kind(0.1)), **options)

    def test_frozen_layer_that_mixes_records_is_accepted(self):
        layer = keras.layers.BatchNormalization(trainable=False)
        one = learner(make_model(layer, keras.layers.Dense(10, "softmax")))
        assert np.any(compute_change(one))

    def test_untrained_weights_do_not_change(self):
        class CallCounter(keras.layers.Layer):
            def build(self, shape: Any) -> None:
                self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

            def call(self, inputs: Any) -> Any:
                self.seen.assign(self.seen + 1)
                return inputs

        one = learner(make_model(CallCounter(), keras.layers.Dense(10, "softmax")))
        assert [float(w) for w in one.mli_propose_weights().weights if w.shape == ()] == [
            float(w) for w in one.mli_get_current_weights().weights if w.shape == ()
        ]

    def test_convolutions_and_dropout_are_supported(self):
        layers = (
            *(keras.layers.Reshape((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu")),
            *(keras.layers.GroupNormalization(2), keras.layers.Dropout(0.2)),
            *(keras.layers.Flatten(), keras.layers.Dense(10, "softmax")),
        )
        one = learner(make_model(*layers, optimizer=keras.optimizers.Adam(0.01)))
        assert np.isfinite(compute_change(one)).all()

    def test_generous_budget_gives_an_accurate_model(self):
        fit = {"batch_size": 100, "epochs": 8}
        generous = config(target_epsilon=20.0, noise_multiplier=0.8)
        one = learner(
            criterion="accuracy",
            minimise_criterion=False,
            model_fit_kwargs=fit,
            diff_priv_config=generous,
        )
        proposal = one.mli_propose_weights()
        assert one.mli_test_weights(proposal).test_score > 0.6
        assert proposal.training_summary.dp_budget.consumed_epsilon < 20.0


class TestBudget(BudgetContract):
    @pytest.fixture
    def make(self) -> Make:
        def make(at_step: Callable[[], object] | None = None, **options: Any) -> KerasLearner:
            one = learner(**options)
            if at_step is not None:
                original = one._private_fit._sum_gradients
                one._private_fit._sum_gradients = lambda places: (at_step(), original(places))[1]
            return one

        return make


def make_learner_to_check() -> KerasLearner:
    model = make_model()
    # Run eagerly to avoid tracing for each of twenty learners.
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    return learner(model, model_fit_kwargs={"batch_size": 60, "steps_per_epoch": 1})


def test_private_keras_learner_passes_the_conformance_kit():
    report = check_learner(make_learner_to_check)
    assert report.passed, str(report)
    verdicts = {check.name: check.verdict for check in report.checks}
    assert verdicts["privacy-is-accounted"] is verdicts["seed-decides"] is Verdict.PASSED
