"""Single measures of models, codes and samples: one number or curve a file.

| file                  | idea                                                                |
|-----------------------|---------------------------------------------------------------------|
| `divergence.py`       | the alpha-divergences, with both directions of KL as ends           |
| `frechet.py`          | the Frechet distance of the Gaussians fitted to two samples         |
| `judge.py`            | a classifier whose features pictures are compared by                |
| `precision_recall.py` | are draws like data, and all data like some draw?                   |
| `mode_coverage.py`    | modes of a known mixture that a sample visits                       |
| `slerp.py`            | interpolation of Gaussian codes along a great circle                |
| `identity.py`         | does it copy? chimeras, and the share left unexplained              |
| `principal_angles.py` | do two linear codes span the same directions?                       |
| `amari.py`            | how well a mixing matrix was undone                                 |
| `filters.py`          | how much an atom looks like an edge: its place and its orientation  |
| `two_sample.py`       | are two samples of one law? maximum mean discrepancy, energy distance |
| `receptive_field.py`  | what the feature at one place of an image looks at                  |
| `active_units.py`     | which latent units carry information: posterior collapse, seen      |
| `calibration.py`      | do predictions of 80 per cent come true in 80 per cent of the cases? |
| `auroc.py`            | how often one score ranks an inside example above an outside one    |
| `pgd.py`              | the worst picture within a small box, by steps along a slope's sign |
| `rank_correlation.py` | do two scores put models in the same order, and how sure is it      |
| `influence.py`        | gradients of every prediction towards every input: who sees whom    |
| `layers.py`           | the output of any named module of any model, as rows of numbers     |
| `probe.py`            | a linear probe that looks at the test part once; few labels         |
| `code_length.py`      | bits to send the labels to someone who holds the codes              |
| `scorecard.py`        | wishes for a code, one number each                                  |
| `drawing_cost.py`     | what a model claims of log p, what a draw costs, how sure a judge is |
| `paths.py`            | straight lines and arcs between codes, judged                       |
"""
