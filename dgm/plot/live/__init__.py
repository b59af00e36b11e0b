"""Figures that compute in the page: self-contained HTML, by mouse, touch and keyboard.

| file              | what it holds                                                             |
|-------------------|---------------------------------------------------------------------------|
| `frame.py`        | `live`: data and a template become one piece of HTML                      |
| `frame.html`      | the look they share, light and dark                                       |
| `frame.js`        | what their scripts share                                                  |
| `record.py`       | `record`: the tensor operations of a function, as data                    |
| `pack.py`         | numbers in a few bits each, as text                                       |
| `tensor.js`       | those operations, in the page                                             |
| `digit.py`        | `draw_a_digit`: a picture, and its nats under several models              |
| `digit.html`      | its template                                                              |
| `dependence.py`   | `dependence`: click a pixel, see what its prediction depends on           |
| `dependence.html` | its template                                                              |
| `line.py`         | `flow_1d`: a map of the line with handles, and the density it makes       |
| `line.html`       | its template                                                              |
| `elbo.py`         | `elbo_by_hand`: mean and width of q, and what the bound loses             |
| `elbo.html`       | its template                                                              |
| `diagnosis.py`    | `noisy_or_diagnosis`: answer findings, read the causes                    |
| `diagnosis.html`  | its template                                                              |
| `atlas.py`        | `atlas`: models as places of two scores, families to show and hide        |
| `atlas.html`      | its template                                                              |
| `families.py`     | `family_plane`: families by seconds of drawing, and what one chooses      |
| `families.html`   | its template                                                              |
"""
