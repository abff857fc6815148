"""Say what a run's classifier sees in picture files."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from konv.app.options import AsJson, TrustSource


def command(run: Path, /, *files: Path, trust_source: TrustSource = False, as_json: AsJson = False) -> int:
    """Say what a run's classifier sees in picture files.

    Parameters
    ----------
    run
        The run folder.
    files
        Pictures in any mode; a rotation noted by the camera is honoured. For signals and volumes: .npy arrays.
    """
    from konv.core.errors import BadData
    from konv.core.run import Run

    opened = Run.open(run)
    if not files:
        raise BadData(f"no picture was named; write for example: konv predict {run} picture.png")

    from konv.app.outcome import print_json, print_predictions
    from konv.app.verbs import predict

    with redirect_stdout(sys.stderr):  # what a person's network prints is no result
        predictions = predict(opened, files, trust_source=trust_source)
    if as_json:
        print_json({"predictions": [prediction.model_dump(mode="json") for prediction in predictions]})
    else:
        print_predictions(predictions)
    return 0
