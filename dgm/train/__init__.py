"""Training: one loop for every model that has ``loss(*batch) -> (B,)``.

| file            | what it holds                                                          |
|-----------------|------------------------------------------------------------------------|
| `loop.py`       | `fit`, the loop; `Fit`, what it did; `TrainingDiverged`                |
| `game.py`       | `play`, the loop of two players                                        |
| `guarded.py`    | `guarded_fit`, which goes back where a run goes wrong                  |
| `unattended.py` | `tend`: trouble is seen, undone, and met with shorter steps             |
| `pace.py`       | how many steps fit into a time                                         |
| `batches.py`    | the rows of every step, from a seed                                    |
| `optimize.py`   | learning rates, the optimiser, and what settings are allowed           |
| `progress.py`   | all a run must remember to go on: weights, averages, losses            |
| `checkpoint.py` | that memory on disk, whole or not at all                               |
| `processes.py`  | several processes under torchrun                                       |
| `jitter.py`     | small shifts and turns of images, fewer and fewer: an ``augment``      |
| `shifts.py`     | shifts by whole pixels, fewer and fewer: an ``augment``                |
"""

from dgm.train.loop import Fit, TrainingDiverged, fit
from dgm.train.pace import steps_in

__all__ = ["Fit", "TrainingDiverged", "fit", "steps_in"]
