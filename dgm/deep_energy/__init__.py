"""Deep energies: p(x) = exp(-E(x)) / Z with a network for E; how to draw from it, how to train it.

| file                     | idea                                                                  |
|--------------------------|-----------------------------------------------------------------------|
| `deep_energy.py`         | a network tilts a Gaussian: the energy, its score, its chains         |
| `langevin.py`            | a step down and noise, and the exact law of steps that are not small  |
| `mala.py`                | the same step, accepted or refused: no bias                           |
| `replay_buffer.py`       | chains that go on between the steps of training                       |
| `contrast.py`            | data down, chains up: the gradient of the likelihood                  |
| `noise_contrast.py`      | data told from noise of a known law, log Z learned                    |
| `matching.py`            | denoising and sliced score matching: slopes need no Z                 |
| `plane_energy.py`        | log Z on a grid: exact likelihoods in the plane                       |
| `annealing.py`           | log Z by annealing, where no grid is possible                         |
| `boltzmann_generator.py` | a flow proposes, a known energy weighs                                |
| `double_well.py`         | the energy of two wells with a barrier between, free energies known   |
| `ising.py`               | a magnet: exact Z row by row, chains that flip spins                  |
"""
