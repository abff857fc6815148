"""ConvClassifier as scikit-learn uses it: its own checks, searches, pipelines, and the pictures they never try."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from konv import BadModel, BadRecipe, Classifier, ConvClassifier, UnknownName

QUICK = {"epochs": 2, "random_state": 0}


class OnPictures(ConvClassifier):
    """scikit-learn's checks know tables only: here each table row is repeated into an 8×8 picture for `plain`."""

    def _inputs(self, rows):
        pictures = np.resize(rows.T, (64, len(rows))).T.reshape(-1, 8, 8) if rows.ndim == 2 else rows
        return super()._inputs(pictures)


def expected_failures(estimator):
    """Checks of scikit-learn that an estimator may fail, each with its reason: there is none."""
    return {}


@parametrize_with_checks([ConvClassifier(), OnPictures(model="plain", epochs=8)], expected_failed_checks=expected_failures)
def test_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    pictures, labels = load_digits(return_X_y=True)
    return train_test_split(pictures.reshape(-1, 8, 8), labels, test_size=0.3, random_state=0, stratify=labels)


@pytest.fixture(scope="module")
def small(digits):
    """Two hundred digits: enough to see that a road leads somewhere."""
    return digits[0][:200], digits[2][:200]


@pytest.fixture(scope="module")
def fitted(small):
    return ConvClassifier(**QUICK).fit(*small)


# ---- accuracy ----


def test_pictures_are_learned(digits):
    train, test, train_labels, test_labels = digits
    scores = ConvClassifier(epochs=8, random_state=0).fit(train, train_labels).score(test, test_labels)
    assert scores > 0.97


def test_rows_of_features_are_learned(digits):
    train, test, train_labels, test_labels = digits
    estimator = ConvClassifier(epochs=8, random_state=0).fit(train.reshape(-1, 64), train_labels)
    assert estimator.score(test.reshape(-1, 64), test_labels) > 0.95
    assert estimator.classifier_.model.name == "mlp"


def test_cross_validation_scores_pictures(digits):
    assert cross_val_score(ConvClassifier(epochs=6, random_state=0), digits[0], digits[2], cv=2).min() > 0.94


# ---- shapes and labels ----


def test_channels_stand_last_or_first(small):
    pictures, labels = small
    colour = np.stack([pictures, pictures.T.swapaxes(0, 2), 16 - pictures], axis=-1)  # (n, 8, 8, 3)
    last = ConvClassifier(**QUICK).fit(colour, labels)
    first = ConvClassifier(channels="first", **QUICK).fit(np.moveaxis(colour, -1, 1), labels)
    assert last.classifier_.view.shape == (3, 8, 8)
    assert np.array_equal(last.predict_proba(colour), first.predict_proba(np.moveaxis(colour, -1, 1)))


def test_volumes_are_pictures_with_one_more_axis(small):
    volumes = np.repeat(small[0][..., None, None], 4, axis=3)  # (n, 8, 8, 4, 1)
    estimator = ConvClassifier(**QUICK).fit(volumes, small[1])
    assert estimator.classifier_.view.shape == (1, 8, 8, 4)
    assert estimator.predict(volumes).shape == (200,)


def test_texts_may_be_labels(small):
    names = np.array(["영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구"])[small[1]]
    estimator = ConvClassifier(**QUICK).fit(small[0], names)
    assert set(estimator.predict(small[0])) <= set(names)
    assert list(estimator.classes_) == sorted(set(names))


def test_bytes_stay_bytes_and_mean_the_same(small):
    pictures, labels = (small[0] * 15).astype(np.uint8), small[1]
    estimator = ConvClassifier(**QUICK).fit(pictures, labels)
    assert estimator.classifier_.view.scale == 255
    assert np.allclose(estimator.predict_proba(pictures), estimator.predict_proba(pictures.astype(float)), atol=1e-6)


def test_whole_numbers_beyond_a_byte_are_not_wrapped(small):
    pictures = (small[0] * 1000).astype(np.int64)
    there = ConvClassifier(**QUICK).fit(pictures, small[1]).predict_proba(pictures)
    assert np.array_equal(there, ConvClassifier(**QUICK).fit(pictures.astype(float), small[1]).predict_proba(pictures))


@pytest.mark.parametrize("size", [2, 3, 33, 65])
def test_no_batch_of_one_is_left_over(small, size):
    labels = np.arange(size) % 2
    assert ConvClassifier(**QUICK).fit(small[0][:size], labels).n_iter_ == 2


# ---- scikit-learn's tools ----


def test_a_clone_is_unfitted_and_equal(fitted):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(np.zeros((1, 8, 8)))


def test_a_pickle_predicts_the_same(fitted, small):
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(small[0]), fitted.predict_proba(small[0]))


def test_pipelines_scale_and_reshape(digits):
    as_pictures = FunctionTransformer(lambda rows: rows.reshape(-1, 8, 8))
    pipeline = make_pipeline(StandardScaler(), as_pictures, ConvClassifier(epochs=6, random_state=0))
    pipeline.fit(digits[0].reshape(-1, 64), digits[2])
    assert pipeline.score(digits[1].reshape(-1, 64), digits[3]) > 0.94


def test_a_grid_search_tries_models_and_numpy_values(small):
    grid = {"model": ["plain", "mlp"], "epochs": np.array([1, 4]), "learning_rate": np.array([0.005])}
    search = GridSearchCV(ConvClassifier(random_state=0), grid, cv=2, error_score="raise").fit(*small)
    assert search.best_params_["epochs"] == 4


# ---- randomness ----


def test_the_same_random_state_gives_the_same_result(fitted, small):
    again = ConvClassifier(**QUICK).fit(*small)
    other = ConvClassifier(**{**QUICK, "random_state": 1}).fit(*small)
    assert np.array_equal(again.predict_proba(small[0]), fitted.predict_proba(small[0]))
    assert not np.array_equal(other.predict_proba(small[0]), fitted.predict_proba(small[0]))


def test_global_random_states_are_left_alone(small):
    torch.manual_seed(7)
    np.random.seed(7)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    ConvClassifier(augment=["flip", "crop"], model_options={"dropout": 0.2}, **QUICK).fit(*small).predict(small[0])
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_a_prediction_does_not_depend_on_its_neighbours(fitted, digits):
    pictures = digits[0][:300]  # more than one chunk
    turned = np.random.default_rng(0).permutation(300)
    whole = fitted.predict_proba(pictures)
    assert np.allclose(whole[turned], fitted.predict_proba(pictures[turned]), rtol=0, atol=1e-12)
    assert np.allclose(whole[:5], np.concatenate([fitted.predict_proba(picture[None]) for picture in pictures[:5]]), atol=1e-12)


# ---- konv's side ----


def test_the_classifier_inside_answers_the_same_and_ships(fitted, small, tmp_path):
    inputs = small[0][:, None].astype(np.float32)
    loaded = Classifier.load(fitted.classifier_.save(tmp_path))
    assert loaded.classes == tuple("0123456789")
    assert np.allclose(loaded.probabilities(inputs).numpy(), fitted.predict_proba(small[0]), atol=1e-5)


def test_held_out_pictures_choose_the_weights_and_stop(small):
    estimator = ConvClassifier(epochs=40, validation_fraction=0.2, patience=2, random_state=0).fit(*small)
    assert estimator.n_iter_ == len(estimator.history_) < 40
    assert len(ConvClassifier(**QUICK).fit(*small).history_) == 2


@pytest.mark.parametrize(
    ("parameters", "cause", "words"),
    [
        ({"epochs": 0}, BadRecipe, r"fit\.epochs = 0 is out of range; it must be a whole number, 1 or more"),
        ({"optimizer": "adan"}, BadRecipe, r"fit\.optimizer = 'adan' is out of range, did you mean adam"),
        ({"model": "plane"}, UnknownName, "there is no model named 'plane', did you mean plain"),
        ({"model_options": {"widht": 3}}, BadRecipe, "did you mean width"),
        ({"model": "fashion_cnn", "patience": -1}, BadRecipe, r"fit\.patience = -1"),
        ({"augment": ["flop"]}, UnknownName, "did you mean flip"),
        ({"class_weights": [1.0, 2.0]}, BadRecipe, "holds 2 numbers; the data has 10 classes"),
        ({"validation_fraction": 1.5}, BadRecipe, r"data\.valid = 1\.5 is out of range"),
        ({"channels": "middle"}, BadRecipe, "channels = 'middle' is out of range; it must be one of last, first"),
        ({"device": "gpu"}, BadRecipe, "device = 'gpu' is out of range"),
    ],
)
def test_a_wrong_parameter_is_a_value_error_with_konvs_sentence(small, parameters, cause, words):
    with pytest.raises(ValueError, match=words) as raised:
        ConvClassifier(**parameters).fit(*small)
    assert isinstance(raised.value.__cause__, cause)


def test_pictures_too_small_for_the_model_are_named(small):
    with pytest.raises(ValueError, match="plain needs inputs of at least 4 per side; these are 8×3") as raised:
        ConvClassifier().fit(small[0][:, :, :3], small[1])
    assert isinstance(raised.value.__cause__, BadModel)


def test_pictures_of_another_shape_are_refused(fitted, small):
    with pytest.raises(ValueError, match=r"samples of \(1, 8, 6\); this ConvClassifier was fitted on \(1, 8, 8\)"):
        fitted.predict(small[0][:, :, :6])
