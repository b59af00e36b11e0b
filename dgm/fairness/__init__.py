"""Codes that keep a secret: VAEs whose code forgets a group, and how to see what it still knows.

| file                    | what it holds                                                       |
|-------------------------|---------------------------------------------------------------------|
| `fair_vae.py`           | the variational fair autoencoder: two layers of codes, a penalty    |
| `flexibly_fair.py`      | a VAE with one code for each attribute, to be left out when used    |
| `random_feature_mmd.py` | how far two samples are apart: exact, by random features, under null |
| `group_adversary.py`    | the other penalty: a network that looks for the group               |
| `group_gaps.py`         | demographic parity, equalised odds, of decisions and of thresholds  |
| `sensitive_probe.py`    | what a fresh, strong classifier reads off a code, with its p-value  |
"""
