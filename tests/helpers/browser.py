"""Headless Chromium: started, and showing a page in a size and a look."""

import os
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = "headless disable-gpu no-first-run disable-background-networking disable-component-update disable-sync"


def on_the_path(*names):
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, f"none of {', '.join(names)} is on the PATH"
    return found


def started(profile):
    """A browser whose profile is in this directory; whoever starts it quits it."""
    options = webdriver.ChromeOptions()
    options.binary_location = on_the_path("chromium", "chromium-browser", "google-chrome")
    for flag in FLAGS.split():
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={profile}")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, Service(on_the_path("chromedriver")))


def show(browser, path, size, look="light", medium="screen"):
    """A page's file in a size, a look and a medium."""
    features = [{"name": "prefers-color-scheme", "value": look}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(path.as_uri())
