"""Scores and diffusion: what noise takes away step by step, a network gives back.

| file                  | idea                                                                 |
|-----------------------|----------------------------------------------------------------------|
| `score_matching.py`   | explicit, sliced and denoising: a score without a normaliser         |
| `exact_denoiser.py`   | mixtures of Gaussians in any noise: score and denoiser, closed forms |
| `langevin.py`         | walks along a score, at one noise or annealed                        |
| `ncsn.py`             | one network for the scores of all noises                             |
| `schedule.py`         | how much noise at which time: linear, cosine, betas, learned         |
| `forward_process.py`  | the Gaussian chain: one jump, one step, one step back, what it costs |
| `parameterisation.py` | what is predicted: noise, data, v, or a law over the levels          |
| `variance.py`         | how much noise a step back adds, fixed or learned                    |
| `diffusion.py`        | the chain back, its bound term by term, its draws                    |
| `ddim.py`             | the same network in fewer steps, with guidance                       |
| `probability_flow.py` | the equation without noise, whose divergence gives the likelihood    |
| `edm.py`              | preconditioning, and Heun's steps                                    |
| `straightness.py`     | how straight the ways of a flow are                                  |
| `absorbing.py`        | masks for noise: an autoregressive model of random order             |
"""
