"""Sequences: how tokens are chosen, and how text longer than the model is read and written.

| file                | idea                                                                  |
|---------------------|-----------------------------------------------------------------------|
| `context_counts.py` | counts of what followed: an n-gram model that learns while it reads    |
| `stream.py`         | nats of one long sequence in overlapping windows; writing on          |
| `token_sampling.py` | the likeliest token, the k likeliest, the nucleus                     |
"""
