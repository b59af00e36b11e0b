"""Networks that parameterise the models; nothing here knows of probability.

| file                 | network                                                     |
|----------------------|-------------------------------------------------------------|
| `mlp.py`             | plain and residual perceptrons                              |
| `time_mlp.py`        | a field in time over rows, its divergence in closed form    |
| `denoising.py`       | a small U-Net and a perceptron that are told the noise      |
| `resnet.py`          | gated residual convolutions                                 |
| `conv.py`            | residual encoder and decoder between images and codes       |
| `energy_net.py`      | one number for a picture, smooth enough for slopes of slopes |
| `strided.py`         | strided convolutions between codes and pictures, for GANs   |
| `smooth_conv.py`     | a smooth classifier of pictures, fit to be an energy        |
| `class_mlps.py`      | a perceptron for every class, side by side                  |
| `hierarchy.py`       | changes of resolution and the cells of deep VAEs            |
| `conv_map.py`        | images to coarse maps of features, and back                 |
| `masked_mlp.py`      | outputs of coordinate i see the inputs before i only        |
| `level_logits.py`    | logits of ordered levels from a few numbers a pixel         |
| `pixel_network.py`   | an image in, numbers for the law of each pixel out          |
| `pixelcnn.py`        | masked convolutions over an image; the causal stack         |
| `pixelrnn.py`        | Row LSTM and Diagonal BiLSTM, layers of that stack          |
| `gated_pixelcnn.py`  | two gated stacks without a blind spot, and their cache      |
| `code_network.py`    | a causal network over a map of codes, each with a vector    |
| `raster.py`          | a causal stack over places as a network over rows of reals  |
| `subscale.py`        | interleaved small images one after the other                |
| `value_embedding.py` | what a network over variables sees of their values          |
| `fvsbn.py`           | one linear map from the variables before                    |
| `nade.py`            | a hidden layer for each variable out of one running sum     |
| `made.py`            | masks on the weights: all rows in one pass, in any order    |
| `recurrent.py`       | an RNN, GRU or LSTM along the variables                     |
| `tokens.py`          | a start symbol and a shift in front of a backbone of tokens |
| `wavenet.py`         | dilated causal convolutions, and their queues               |
| `lstm.py`            | LSTM cells over embedded tokens                             |
| `transformer.py`     | attention with rotary positions, and its cache              |
"""
