"""What parity replaces of Hypothesis while it draws: each is needed still, and is gone behind the context.

The tests' own session draws with the patches on, so that what Hypothesis does by itself is asked of a copy.
"""

import importlib.util
import sys

import pytest
from hypothesis import configuration
from hypothesis.internal.conjecture import providers

from parity import scratch
from parity.inputs import sampling


def executed(name, path):
    """A module that a file makes, which is not imported."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_constants_of_modules_would_be_drawn(tmp_path, monkeypatch):
    """Where this fails, Hypothesis has come round: take `_get_local_constants` and `CONSTANTS_CACHE` off the list."""
    path = tmp_path / "mine.py"
    path.write_text("NUMBER = 987_654_321\n")
    monkeypatch.setitem(sys.modules, "mine", executed("mine", path))

    alone = executed("providers_alone", providers.__file__)
    assert 987_654_321 in alone._get_local_constants().integers
    assert alone.CONSTANTS_CACHE.max_size > 0
    with sampling.without_constants_of_modules():
        assert len(providers._get_local_constants()) == 0


def test_tables_would_be_kept_in_the_users_directory(monkeypatch):
    """As above, of `__hypothesis_home_directory`."""
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)
    ours = str(scratch.kept())

    alone = executed("configuration_alone", configuration.__file__)
    assert ours not in str(alone.storage_directory("unicode_data").path)
    with sampling.without_constants_of_modules():
        assert ours in str(configuration.storage_directory("unicode_data").path)


@pytest.mark.parametrize(("owner", "name", "_"), sampling.PATCHES, ids=lambda of: getattr(of, "__name__", of))
def test_a_patch_is_put_back(owner, name, _):
    before = getattr(owner, name)

    with sampling.without_constants_of_modules():
        pass
    assert getattr(owner, name) is before
