"""What verbs give back: frozen data, JSON in and out."""

from pydantic import BaseModel, ConfigDict


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Epoch(_Result):
    """One pass over the training pictures: one row of history.jsonl."""

    epoch: int  # 1 for the first
    step: int  # updates of the weights since the start
    loss: float  # mean over the training pictures as they were met, augmented
    accuracy: float  # share of right answers on them
    valid_loss: float
    valid_accuracy: float
    learning_rate: float  # at the last step
    gradient_norm: float  # mean over the epoch's steps, before clipping
    seconds: float  # training and validation of this epoch
    pictures_per_second: float  # training only


class ClassScores(_Result):
    """Scores of one class on the scored pictures."""

    name: str
    precision: float
    recall: float
    f1: float
    pictures: int


class Bin(_Result):
    """The pictures whose confidence lies in one of 15 equal ranges."""

    confidence: float  # mean
    accuracy: float
    pictures: int


class Report(_Result):
    """Scores of a classifier on pictures it has not seen."""

    format: int = 1
    model: str
    source: str
    split: str  # "test", or the name of the source that was scored
    pictures: int
    classes: tuple[str, ...]
    accuracy: float
    accuracy_interval: tuple[float, float]  # 95 %, bootstrap over pictures
    top_k: dict[int, float]  # accuracy counting the k most likely classes
    precision_macro: float
    recall_macro: float
    f1_macro: float
    f1_macro_interval: tuple[float, float]
    precision_weighted: float
    recall_weighted: float
    f1_weighted: float
    per_class: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows true, columns predicted
    expected_calibration_error: float  # 15 bins, arxiv.org/abs/1706.04599
    calibration: tuple[Bin, ...]
    loss: float  # mean negative log-likelihood, nats
    seconds_training: float
    epochs: int
    milliseconds_one: float  # median, one picture at a time
    milliseconds_one_p95: float
    milliseconds_batch: float  # median
    milliseconds_batch_p95: float
    batch_size: int  # of the two lines above
    images_per_second: float
    threads: int
    device: str
    parameters: int
    test_openings: int
    weights_sha256: str


class Example(_Result):
    """One scored picture for the report's grid."""

    id: str
    label: int
    predicted: int
    confidence: float
    thumbnail: str  # base64 PNG


class Prediction(_Result):
    """What a classifier says of one picture."""

    file: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    rejected: bool = False


class DataSummary(_Result):
    """What `konv data` says of a source. The labels of the sealed test split are counted nowhere: only its size is told."""

    source: str
    classes: tuple[str, ...]
    counts: dict[str, int]  # class → pictures of train and valid together
    splits: dict[str, dict[str, int]]  # train, valid → class → pictures
    sealed: int  # pictures of the test split
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    broken: tuple[dict[str, str], ...] = ()
