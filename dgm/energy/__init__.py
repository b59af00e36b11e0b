"""Energies: p(x) = exp(-E(x)) / Z, the machines of old; Z by sums, or by annealing.

| file                   | idea                                                                |
|------------------------|---------------------------------------------------------------------|
| `hopfield.py`          | patterns as valleys of an energy, recalled by descending it         |
| `modern_hopfield.py`   | the log-sum-exp energy, whose one-step recall is attention          |
| `boltzmann_machine.py` | bits with a weight between every two, learned exactly               |
| `rbm.py`               | two sides of bits: free energy, Gibbs sweeps, the path from pixels  |
| `negative_phase.py`    | where negatives come from: contrastive divergence, chains that go on |
| `tempering.py`         | chains at several temperatures that exchange their states           |
| `enumerated_rbm.py`    | an RBM with its exact Z, log-likelihood and draws                   |
| `annealed_rbm.py`      | log Z by annealing, and a bound from the other side                 |
| `dbn.py`               | a deep belief network: layers that point down under an RBM          |
| `dbm.py`               | a deep Boltzmann machine, its mean field beside the exact sums      |
"""
