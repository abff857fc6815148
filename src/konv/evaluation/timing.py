"""How long an answer takes: medians and 95th percentiles after a warm-up."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import torch

from konv.classifier import Classifier

REPEATS = 60  # one-picture calls; their 95th percentile then rests on three values
BATCH = 64  # pictures per batch call
BUDGET = 1.0  # seconds per measurement, so that a slow network is measured a few times only


def latency(classifier: Classifier, inputs: torch.Tensor) -> dict[str, float | int]:
    """Returns milliseconds for one picture and for a batch (median, 95th percentile) and pictures per second in batches."""
    one, batch = inputs[:1], inputs[:BATCH]
    median_one, high_one = _milliseconds(lambda: classifier.logits(one))
    median_batch, high_batch = _milliseconds(lambda: classifier.logits(batch))
    return {
        "milliseconds_one": median_one,
        "milliseconds_one_p95": high_one,
        "milliseconds_batch": median_batch,
        "milliseconds_batch_p95": high_batch,
        "batch_size": len(batch),
        "images_per_second": 1000 * len(batch) / median_batch,
    }


def _milliseconds(call: Callable[[], object]) -> tuple[float, float]:
    times: list[float] = []
    for _ in range(3):
        call()  # warm-up; `logits` brings its answer to main memory, which waits for an accelerator
    while len(times) < REPEATS and (len(times) < 5 or sum(times) < BUDGET):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return float(np.median(times) * 1000), float(np.quantile(times, 0.95) * 1000)
