"""Draws the pictures of docs/screenshots.md anew, from runs of the command line: `tox -e screenshots`."""

import base64
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from parity.reference import demo
from parity.report import html
from tests.helpers import reports
from tests.helpers.browser import show, started

FOLDER = Path(__file__).parent / "screenshots"
# A corrected copy of `parity demo`, whose epsilon a later line sets back.
PAIR = """
from dataclasses import replace

from parity.reference import demo

EPSILON = {epsilon}


def corrected():
    from parity.reference.demo.tensorflow import Classifier

    model = Classifier()
    model.norm.epsilon = EPSILON
    return model


pair = replace(demo.pair(), tensorflow=corrected)
"""
RIGHT, WRONG = PAIR.format(epsilon=1e-5), PAIR.format(epsilon=1e-3)
# Picture -> the text of acme.py, and the commands that lead to its page.
PAGES = {
    "failing": (WRONG, ["check demo"]),
    "passing": (RIGHT, ["check acme:pair"]),
    "locate": (WRONG, ["locate demo"]),
    "gate": (WRONG, ["gate acme:pair"]),
    "selftest": (WRONG, []),  # a run takes long: figures made up by the tests
}
LOOKS = {"light": ((1280, 900), "light"), "dark": ((1280, 900), "dark"), "phone": ((390, 844), "light")}
MOST = {"light": 2200, "dark": 2200, "phone": 3400}  # pixels of a page, from its top


def page(name, project):
    """The page of a picture, as the command line writes it."""
    text, commands = PAGES[name]
    if name == "gate":
        (project / "acme.py").write_text(RIGHT)
        parity(project, "bless acme:pair --examples 3")
    (project / "acme.py").write_text(text)
    path = project / f"{name}.html"
    for command in commands:
        parity(project, f"{command} --html {path}")
    text = path.read_text(encoding="utf-8") if commands else html.tried(reports.tried())
    for folder in (f"{project}/", f"{Path(demo.__path__[0]).parents[2]}/"):
        text = text.replace(folder, "")
    path.write_text(text, encoding="utf-8")
    return path


def parity(project, command):
    """The command line, whatever its exit status is: most of these pages are of failures."""
    subprocess.run([sys.executable, "-m", "parity", *command.split()], cwd=project, check=False)


def main():
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        project = Path(place)
        paths = {name: page(name, project) for name in sys.argv[1:] or PAGES}
        browser = started(project / "profile")
        for name, path in paths.items():
            for look, (size, scheme) in LOOKS.items():
                show(browser, path, size, scheme)
                height = browser.execute_script("return document.documentElement.scrollHeight")
                clip = {"x": 0, "y": 0, "width": size[0], "height": min(height, MOST[look]), "scale": 1}
                shot = {"format": "png", "clip": clip, "captureBeyondViewport": True}
                data = browser.execute_cdp_cmd("Page.captureScreenshot", shot)["data"]
                (FOLDER / f"{name}-{look}.png").write_bytes(base64.b64decode(data))
        browser.quit()
    shutil.copy(FOLDER / "failing-light.png", FOLDER.parent / "report.png")  # the README's


if __name__ == "__main__":
    main()
