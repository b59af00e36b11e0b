"""Games between a generator and a critic.

| file          | idea                                                                  |
|---------------|-----------------------------------------------------------------------|
| `gan.py`      | the two networks as one module: it draws, and has no density          |
| `games.py`    | what either player minimises: minimax, non-saturating, Wasserstein... |
| `penalties.py`| what the critic pays for its slope: at data, at fakes, between them   |
| `spectral.py` | weights divided by their largest singular value                       |
| `optimum.py`  | the best critic of two known densities, and the value of the game     |
| `dirac.py`    | the smallest game: one point, one slope, and whether it comes to rest |
"""
