"""The page "Your own data" runs as it stands, in an empty folder with a few small pictures."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book/your_data.md").read_text(encoding="utf-8")


def test_the_page_runs_line_by_line_and_its_model_beats_the_histogram(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    down, across = np.mgrid[:28, :20]
    for k in range(120):  # smooth stripes: their pixels tell each other a lot
        angle, phase = rng.uniform(0, 3.1), rng.uniform(0, 6.3)
        wave = np.sin(0.4 * (np.cos(angle) * down + np.sin(angle) * across) + phase)
        noise = rng.integers(0, 4, wave.shape)
        Image.fromarray((100 + 90 * wave + noise).astype(np.uint8)).save(folder / f"{k}.png")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    script = "\n".join(blocks)
    assert script.count("minutes=3") == 1
    script = script.replace("minutes=3", "minutes=0.1")
    script += "\nprint(evaluate.bits_per_dim(nats, faces.shape), len(draws), report.headline)\n"
    script += 'print(evaluate.baselines(faces)["histogram for each place"])\n'
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    *_, found, histogram = done.stdout.splitlines()
    assert float(found.split()[0]) < float(histogram)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"draws.png", "faces.pt", "faces.ckpt"} <= names


def test_the_command_of_the_page_writes_a_file(tmp_path):
    (command,) = re.findall(r"```bash\npython (.*?) > (\S+)\n```", PAGE)
    arguments, file = command
    text = subprocess.run(
        [sys.executable, *arguments.split()], capture_output=True, text=True, check=True
    ).stdout
    compile(text, file, "exec")
    assert "class Autoregressive" in text
