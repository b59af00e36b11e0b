"""The correctness passport: does a model keep the promises of its methods?

| file | holds |
|---|---|
| `passport.py` | `audit(model, x)`: runs every check on a prepared copy of the model |
| `prepare.py` | the copy: in double precision, its weights moved, its facts found |
| `report.py` | `Report` and `Check`: the headline and the table, as text and as HTML |
| `facts.py` | what the model is: its methods, its data, density, bound, flow, chain, parts |
| `chain.py` | whether `forward` gives the laws of a chain rule, and how they are laid out |
| `parts.py` | the parts of a latent-variable model |
| `subject.py` | the model under audit with its data, its samples and its chunked evaluation |
| `cost.py` | what a call would take: work is refused before it is begun |
| `chance.py` | how far from chance: bounds, so that a healthy model seldom fails |
| `proposal.py` | laws fitted to samples, to hold a density against |
| `batch.py` | shapes, one example = its row in a batch, eval mode, samples |
| `invertible.py` | round trip, log-determinant against autograd |
| `density.py` | sums and integrals to one, samples against the density, a reference |
| `stein.py` | Stein's and the Gibbs identity: samples against the density at any size |
| `causal.py` | autoregressive models: no leak from the future, conditionals |
| `latent.py` | latent variables: posterior, likelihood, prior, and bounds made of them |
| `bound.py` | evidence bounds against one another and against the exact value |
| `bins.py` | dequantised models: noise, bin masses, bits |
| `state.py` | gradients, registered tensors, `state_dict`, precision |
| `quadrature.py` | adaptive quadrature in one and two dimensions, chi-square |
"""

from dgm.audit.passport import audit as audit
from dgm.audit.report import Check as Check
from dgm.audit.report import Report as Report
