"""The correctness passport: does a model keep the promises of its methods?

| file | holds |
|---|---|
| `passport.py` | `audit(model, x)`: prepares a copy of the model and runs every check |
| `report.py` | `Report` and `Check`: the table, as text and as HTML |
| `subject.py` | the model under audit with its data, its samples and its chunked evaluation |
| `batch.py` | shapes, one example = its row in a batch, eval mode, samples |
| `invertible.py` | round trip, log-determinant against autograd |
| `density.py` | sums and integrals to one, samples against the density, a reference |
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
