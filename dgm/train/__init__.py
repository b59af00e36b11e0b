"""Training: one loop for every model that has ``loss(*batch) -> (B,)``.

| file            | what it holds                                                          |
|-----------------|------------------------------------------------------------------------|
| `loop.py`       | `fit`, the loop; `Fit`, what it did; `TrainingDiverged`                |
| `batches.py`    | the rows of every step, from a seed                                    |
| `optimize.py`   | learning rates, the optimiser, and what settings are allowed           |
| `progress.py`   | all a run must remember to go on: weights, averages, losses            |
| `checkpoint.py` | that memory on disk, whole or not at all                               |
| `processes.py`  | several processes under torchrun                                       |
"""

from dgm.train.loop import Fit, TrainingDiverged, fit

__all__ = ["Fit", "TrainingDiverged", "fit"]
