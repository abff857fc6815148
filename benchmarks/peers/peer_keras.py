"""The course network in Keras 3, on the backend that KERAS_BACKEND names: Sequential, compile, fit on arrays."""

from time import perf_counter

import keras
from _course import BATCH, RATE, arrays, course, tell
from keras import layers


class Clock(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, *_: object) -> None:
        self.began = perf_counter()

    def on_epoch_end(self, *_: object) -> None:
        self.seconds.append(perf_counter() - self.began)


def network() -> keras.Model:
    """PyTorch's momentum of 0.1 and epsilon are Keras's 0.9 and 1e-5."""
    norm = {"momentum": 0.9, "epsilon": 1e-5}
    first = [layers.Conv2D(32, 3, padding="same"), layers.BatchNormalization(**norm), layers.ReLU(), layers.MaxPooling2D(2)]
    second = [layers.Conv2D(64, 3), layers.BatchNormalization(**norm), layers.ReLU(), layers.MaxPooling2D(2)]
    dense = [layers.Dense(600, "relu"), layers.Dropout(0.25), layers.Dense(120, "relu"), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), *first, *second, layers.Flatten(), *dense])


def main() -> None:
    given = course()
    keras.utils.set_random_seed(given.seed)
    pictures, labels = arrays(given, train=True)
    model, clock = network(), Clock()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(RATE), loss=loss, metrics=["accuracy"])
    model.fit(pictures[..., None], labels, batch_size=BATCH, epochs=given.epochs, verbose=0, callbacks=[clock])
    test_pictures, test_labels = arrays(given, train=False)
    _, accuracy = model.evaluate(test_pictures[..., None], test_labels, batch_size=BATCH, verbose=0)
    tell(len(labels), clock.seconds, float(accuracy))


if __name__ == "__main__":
    main()
