"""Training resumed: on every reference pair, what is saved or restored wrong, and files that are refused."""

import numpy as np
import pytest
import safetensors.numpy

from parity import reference
from parity.backends import SIDES
from parity.canonical.optimizers import MOMENTS, Recipe
from parity.canonical.weights import Weights
from parity.checks import resume
from parity.errors import ParityError
from parity.pair.models import PairModels

STEPS = (((1, 4, 2, 10), (3, 5)), ((7, 8, 9),), ((5, 999, 5, 6, 4),))
ADAM = Recipe("adam", 0.001, decay=0.01, clip=0.1)
STATEFUL = [optimizer for optimizer in MOMENTS if MOMENTS[optimizer]]


def training(recipe=ADAM):
    return resume.Training(Weights(1, 1.0), recipe, STEPS)


@pytest.mark.parametrize("name", reference.PAIRS)
def test_every_reference_pair_goes_on_with_identical_bits(name, references):
    verdicts = resume.verify(references(name), training())

    assert {verdict.word for verdict in verdicts} == {"identical"}
    assert len(verdicts) == 2 * (1 + 3 * len(references(name).layout))


@pytest.fixture(scope="module")
def plain(bag):
    """A pair without recurrence, which is all that files and states need."""
    return PairModels(bag)


@pytest.fixture
def here(monkeypatch):
    """The process that goes on is this one, so that what is patched is patched in it, too."""
    monkeypatch.setattr(resume.process, "fresh", lambda function, *given: function(*given))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("optimizer", STATEFUL)
def test_every_optimizer_with_a_state_goes_on_with_identical_bits(optimizer, plain):
    verdicts = resume.verify(plain, training(Recipe(optimizer, 0.01, decay=0.01, drop=3)))

    assert {verdict.word for verdict in verdicts} == {"identical"}
    assert len(verdicts) == 2 * (1 + (1 + len(MOMENTS[optimizer])) * len(plain.layout))


# Faults: each in one side alone


def altered(name, change):
    """A fault in the state file: an alteration of its arrays behind the trainer's `name`, or before it."""

    def plant(monkeypatch, model):
        made = model.trainer

        def trainer(self, recipe):
            trainer = made(self, recipe)
            verb = getattr(trainer, name)

            def faulty(path):
                if name == "save":
                    verb(path)
                arrays = change(safetensors.numpy.load_file(path))
                safetensors.numpy.save_file(arrays, path)
                if name == "restore":
                    verb(path)

            setattr(trainer, name, faulty)
            return trainer

        monkeypatch.setattr(model, "trainer", trainer)

    return plant


def moments(change):
    return lambda arrays: {n: a if n == "step" else change(a) for n, a in arrays.items()}


def not_restored(monkeypatch, model):
    made = model.trainer

    def trainer(self, recipe):
        trainer = made(self, recipe)
        trainer.restore = lambda _: None
        return trainer

    monkeypatch.setattr(model, "trainer", trainer)


def weights_of_the_step_before(monkeypatch, model):
    made, save = model.trainer, model.save

    def trainer(self, recipe):
        trainer = made(self, recipe)
        step = trainer.step

        def remembering(batches):
            self.before = self.read()
            return step(batches)

        trainer.step = remembering
        return trainer

    def late(self, path):
        now = self.read()
        self.write(self.before)
        save(self, path)
        self.write(now)

    monkeypatch.setattr(model, "trainer", trainer)
    monkeypatch.setattr(model, "save", late)


FAULTS = {
    "state not restored": not_restored,
    "step count lost": altered("restore", lambda arrays: {**arrays, "step": np.array(1)}),
    "moments in float16": altered("save", moments(lambda array: array.astype(np.float16).astype(np.float32))),
    "moments of one bit less": altered("save", moments(lambda array: np.nextafter(array, np.float32(0)))),
    "weights of the step before": weights_of_the_step_before,
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault, side, plain, monkeypatch):
    FAULTS[fault](monkeypatch, type(plain.models[side, "float32"]))
    failing = [verdict.message for verdict in resume.verify(plain, training()) if verdict.fails]

    assert failing
    assert all(m.startswith(side) and "uninterrupted and resumed are different" in m for m in failing)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("side", SIDES)
def test_a_step_count_lost_is_caught_where_only_the_rate_depends_on_it(side, plain, monkeypatch):
    FAULTS["step count lost"](monkeypatch, type(plain.models[side, "float32"]))
    failing = [v.subject for v in resume.verify(plain, training(Recipe("momentum", 0.01, drop=3))) if v.fails]

    assert {subject.split(" of ")[0] for subject in failing} == {f"{side} value"}


def test_a_file_that_is_refused_is_a_finding(plain, monkeypatch):
    """By a process that is really fresh: only what is saved is altered."""
    halved = altered("save", moments(lambda array: array.astype(np.float16)))
    halved(monkeypatch, type(plain.models["torch", "float32"]))
    (verdict,) = resume.verify(plain, training())

    assert verdict.fails
    assert verdict.message == (
        "a fresh process cannot go on: torch.state.safetensors: first moment of table.table is "
        "(1000, 24) float16, but should be (1000, 24) float32"
    )


# Files


@pytest.fixture(params=SIDES)
def trainer(request, plain):
    """A trainer behind one step."""
    trainer = plain.models[request.param, "float32"].trainer(ADAM)
    trainer.step([(np.array([[1, 4, 2]]), np.array([[4, 2, 5]]))])
    return trainer


def test_a_state_is_plain_arrays_by_name(trainer, tmp_path, names):
    trainer.save(tmp_path / "state")
    arrays = safetensors.numpy.load_file(tmp_path / "state")

    assert names(tmp_path) == ["state"]
    assert arrays["step"] == 1
    assert {name.partition(" of ")[0] for name in arrays} == {"step", "first moment", "second moment"}
    np.testing.assert_array_equal(
        arrays["second moment of table.table"], trainer.state()["second moment"]["table.table"]
    )


def without(name):
    return lambda arrays: {n: a for n, a in arrays.items() if n != name}


def replaced(name, array):
    return lambda arrays: {**arrays, name: array}


BIAS = "first moment of head.bias"
REFUSED = {
    "missing": (without(BIAS), f"{BIAS} is missing, but should be (1000,) float32"),
    "extra": (replaced("third moment", np.zeros(1)), "third moment is (1,) float64, but should be missing"),
    "shape": (
        replaced(BIAS, np.zeros((1000, 1), np.float32)),
        f"{BIAS} is (1000, 1) float32, but should be (1000,) float32",
    ),
    "dtype": (replaced(BIAS, np.zeros(1000)), f"{BIAS} is (1000,) float64, but should be (1000,) float32"),
    "no step": (without("step"), "step is missing, but should be () int64"),
    "step 0": (replaced("step", np.array(0)), "step is 0, but should be 1 or more"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_state_that_does_not_fit_is_refused(what, trainer, tmp_path):
    change, message = REFUSED[what]
    path, kept = tmp_path / "state", trainer.state()
    trainer.save(path)
    safetensors.numpy.save_file(change(safetensors.numpy.load_file(path)), path)
    with pytest.raises(ParityError) as refusal:
        trainer.restore(path)

    assert str(refusal.value) == f"{path}: {message}"
    for moment, arrays in trainer.state().items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, kept[moment][name])


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: b"\xff" + data[1:]])
def test_a_damaged_state_is_refused(damage, trainer, tmp_path):
    path = tmp_path / "state"
    trainer.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ParityError) as refusal:
        trainer.restore(path)

    assert str(refusal.value) == f"{path}: cannot be read as an optimizer's state; save it again"


def test_a_missing_state_is_refused(trainer, tmp_path):
    with pytest.raises(ParityError, match="state: cannot be read \\(No such file or directory\\)"):
        trainer.restore(tmp_path / "state")


def test_two_biases_of_one_parameter_have_states_of_their_own(lstm, tmp_path):
    """A parameter of several variables, all trained: their moments part, as decay follows each one's value."""
    corners = PairModels(lstm)
    model = corners.models["torch", "float32"]
    model.module.lstm.bias_hh_l0.requires_grad_(True)
    batches = [(np.array([[1, 4, 2]]), np.array([[4, 2, 5]]))]
    trainer, again = model.trainer(ADAM), model.trainer(ADAM)
    trainer.step(batches)
    trainer.save(tmp_path / "state")
    again.restore(tmp_path / "state")
    saved = safetensors.numpy.load_file(tmp_path / "state")

    assert (saved["first moment of lstm.bias.0"] != saved["first moment of lstm.bias.1"]).any()
    for variable in trainer.variables:
        for key in ("exp_avg", "exp_avg_sq"):
            assert trainer.optimizer.state[variable][key].equal(again.optimizer.state[variable][key])
