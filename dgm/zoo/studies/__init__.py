"""Studies: the same recipe with parts exchanged, under several seeds; only the scores are kept.

| file                        | question                                                           |
|-----------------------------|--------------------------------------------------------------------|
| `flow_ablation.py`          | what coupling, noise and 1x1 convolution are worth, in nats        |
| `blind_spot.py`             | what it costs a gated PixelCNN to see fewer earlier pixels         |
| `echo_memory.py`            | what seeing far back is worth on a sound with an echo              |
| `one_or_two_dimensions.py`  | does WaveNet beat a PixelCNN by network or settings?               |
| `histogram_start.py`        | what starting at the histograms is worth in two minutes            |
| `code_sizes.py`             | how many codes a VQ-VAE of the digits should have                  |
| `sphere_or_plane.py`        | codes on a sphere or in flat space, by dimension                   |
| `many_spheres.py`           | one large sphere, or many small ones                               |
| `inference_direction.py`    | which layers are used: draws on the way up or down, chain or state |
| `depth_or_width.py`         | what layers are worth to a VAE of equal parameters                 |
| `free_bits.py`              | what free bits do for a plain top-down chain                       |
| `spectral_penalty.py`       | what a penalty on singular values does to a small NVAE             |
| `negative_phases.py`        | which negatives an RBM learns from, and what a layer above adds    |
| `hybrid_weights.py`         | hybrid flows of four bodies: accuracy and bits, by lambda          |
| `class_and_code.py`         | a VAE that also tells the class: accuracy and bits, by alpha       |
| `label_counts.py`           | how many labels M2 needs, beside its classifier alone              |
| `few_mnist_labels.py`       | what 100 labels of MNIST are worth to a classifier alone           |
| `turned_domains.py`         | DIVA and a classifier where one angle was never seen               |
| `judges.py`                 | classifiers of the digits, whose features draws are compared by    |
| `draws_by_judge.py`         | the draws of every model of large digits, by one judge             |
| `diffusion_draws.py`        | draws of the diffusion model of large digits, by guidance          |
| `invertible_classifiers.py` | couplings and i-ResNets as classifiers: error                      |
| `ring_coverage.py`          | which games visit all modes of a ring                              |
| `likelihood_or_matching.py` | one continuous flow trained three ways: time, evaluations          |
| `finishing.py`              | which contrastive trainings finish with nobody to look after them  |
| `shifts_or_laws.py`         | what does the work in an integer flow                              |
| `bytes_on_disk.py`          | files by models and by general compressors, of the same pictures   |
| `energy_objectives.py`      | one energy in the plane, trained in five ways                      |
| `long_chains.py`            | an energy of large digits: chains from noise, and log Z            |
| `joint_or_plain.py`         | one network as a classifier and as a joint energy model            |
| `joint_calibration.py`      | who is too sure of the digits, by the number of labels             |
| `codes_by_layer.py`         | what every layer of eight models of digits knows of the class      |
| `mnist_layers.py`           | the same of the stored models of large digits                      |
| `scorecards.py`             | seven wishes for five codes of sprites                             |
| `disentangled_sprites.py`   | six prices of a code, sixty VAEs of sprites, seven metrics         |
| `disturbed_sprites.py`      | three of them among noise and in colour                            |
| `read_back.py`              | what the codes of InfoGAN score                                    |
| `fair_curve.py`             | what a penalty on the secret costs the task, two tables            |
| `chosen_attributes.py`      | attributes left out of a code after training                       |
| `invariant_codes.py`        | what the three codes of DIVA say of class and angle                |
| `clothes_scores.py`         | what twenty scores say of single pictures, clothes and others      |
| `plain_cnn.py`              | the plain classifier of large digits that chapter 25 attacks       |
| `clean_digits.py`           | accuracy of p(x given y) and of a plain network, before attacks    |
| `attacked_digits.py`        | how far a picture must be moved until a classifier errs            |
| `library_attacks.py`        | our attacks beside those of a library                              |
| `more_draws.py`           | draws of the models that `draws_by_judge.py` leaves out, and PCA   |
| `hybrid_draws.py`         | draws of models that classify too, and of a GAN, by one judge      |
| `three_minutes.py`          | what the page on your own data may promise                         |

Each is run by ``python -m dgm.zoo.studies.NAME`` and keeps its figures in ``NAME.json`` beside it;
`runs.py` is what they share.
"""
