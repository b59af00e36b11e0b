"""Copy the tracked tree to a folder, with the publisher's address in place of the placeholder.

python tools/stamp.py OUT OWNER/REPO [BRANCH]

The placeholder starts with a hyphen, so it can never be somebody's account.  BRANCH is the one that
Colab opens and installs from ("published" unless told).
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
OWNER, REPO = "-OWNER", "REPO"
STAMPED = (".ipynb", ".md", ".yml", ".cff", ".toml", ".py")
KEEP = ("tools/stamp.py", "book/ext/unpublished.py", ".github/")  # they speak of the placeholder


def stamp(text, slug, branch):
    """Fill owner, repository and branch into one file's text."""
    owner, repo = slug.split("/")
    for old, new in (
        (f"{OWNER}.github.io/{REPO}", f"{owner.lower()}.github.io/{repo}"),
        (f"{OWNER}/{REPO}/archive/main.zip", f"{slug}/archive/{branch}.zip"),
        (f"{OWNER}/{REPO}/blob/main/notebooks", f"{slug}/blob/{branch}/notebooks"),
        (f"{OWNER}/{REPO}\n  branch: main", f"{slug}\n  branch: {branch}"),
        (f"{OWNER}/{REPO}", slug),
    ):
        text = text.replace(old, new)
    return text


def main(out, slug, branch="published"):
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    for name in listing.stdout.decode().split("\0")[:-1]:
        data = (ROOT / name).read_bytes()
        if name.endswith(STAMPED) and not name.startswith(KEEP):
            data = stamp(data.decode(), slug, branch).encode()
        target = pathlib.Path(out, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[2].count("/") != 1:
        sys.exit(__doc__)
    main(*sys.argv[1:])
