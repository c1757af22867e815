"""A pair's checks as tests: what `parametrize` hands to a function, and pytest's own nodes for `--parity`."""

import contextlib
import logging
import shlex
from collections.abc import Generator, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from parity.errors import Mismatch, ParityError, from_users_code

if TYPE_CHECKING:
    from parity.checks.results import Outcome, Report
    from parity.frontends.config import Config
    from parity.pair.models import PairModels
    from parity.pair.pair import Pair

# On every test. Keras 3.15 converts TensorFlow variables by a protocol that NumPy 2 has replaced, which says nothing of
# the models; where a project makes errors of warnings, no check could run.
MARKS = (
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
)


class Subject:
    """A pair, its models, built when the first test needs them, and what its checks came to so far."""

    def __init__(self, pair: "Pair") -> None:
        self.pair = pair
        self._built: PairModels | ParityError | None = None
        self.outcomes: list[Outcome] = []

    def corners(self, config: "Config") -> "PairModels":
        """The models. Raises ParityError for every test alike when they cannot be built."""
        if self._built is None:
            from parity.pair.models import PairModels

            try:
                self._built = PairModels(self.pair, config.dtypes)
            except ParityError as error:
                self._built = error
        if isinstance(self._built, ParityError):
            raise self._built
        return self._built

    def forget(self) -> None:
        """Let the models go, to make room for those of another pair; they are built again where they are needed."""
        self._built = None


class Check:
    """One check of a pair, as a test calls it; `options` are those of `parametrize`, over the project's."""

    def __init__(self, module: ModuleType, subject: Subject, options: dict[str, Any]) -> None:
        self.name = module.__name__.rpartition(".")[2]
        self.not_run = ""
        self.module, self._subject, self._given = module, subject, options
        self._claim = (module.__doc__ or "").partition("\n")[0]
        self._config: Config | None = None
        self._run_all = False
        self._command = "pytest"
        self._outcome: Outcome | None = None

    def prepare(self, config: "Config", command: str, run_all: bool) -> None:
        """Build the models for a test that `command` runs again. Raises ParityError when they cannot be built."""
        self._config, self._run_all = config.but(**self._given), run_all
        self._command = f"{command} --parity-seed {self._config.seed} --parity-examples {self._config.examples}"
        self._subject.corners(self._config)

    def __repr__(self) -> str:
        return f"{self.name} of {self._subject.pair.name}"

    def __call__(self) -> None:
        """Run the check. Raises Mismatch for what it finds, ParityError for misuse, and any error of a model.

        Skips the test where the check only follows from a failed forward.
        """
        from parity.checks.results import FOLLOWING

        __tracebackhide__ = True
        if self._config is not None and (reason := self._follows()):
            self.not_run = reason
            pytest.skip(f"not run: {reason}" + ("; --parity-all runs it" if reason == FOLLOWING else ""))
        with _untraced():
            outcome = self._run()
        error = outcome.error
        if outcome.findings:
            raise Mismatch(outcome.text())
        outcome.error = error and error.told()  # a session keeps the outcome, and no models
        if error is not None and error.raised is not None:
            if isinstance(error.raised, ParityError):
                raise error.raised.with_traceback(None) from None
            raise error.raised.with_traceback(from_users_code(error.raised))

    def _run(self) -> "Outcome":
        """What the check comes to; of the first finding of a pair also where it comes from, and why."""
        from parity import api
        from parity.checks import runner
        from parity.frontends.config import Config

        config = self._config or Config().but(**self._given)  # called outside pytest
        corners = self._subject.corners(config)
        outcome = runner.attempt(self.module, corners, config.seed, config.examples, self._command)
        self._outcome = outcome
        if api.explains(self.module, self._subject.outcomes):
            api.explain(corners, [outcome])
        self._subject.outcomes.append(outcome)
        return outcome

    def _follows(self) -> str:
        """Why the check is not run here, or behind those of the same pair; empty if it is."""
        from parity import api
        from parity.checks import FRESH_PROCESS, runner

        reason = api.Asked(run_all=self._run_all).skips(self.module, self._subject.outcomes)
        return reason or (runner.apart(self._subject.pair.builds) if self.module in FRESH_PROCESS else "")

    def report(self, error: BaseException | None) -> "Report":
        """A report of this check alone: what it found, why it was not run, or the `error` that kept it from its end."""
        from parity.checks import runner
        from parity.checks.results import Failure, Outcome, Report
        from parity.frontends.config import Config

        config = self._config or Config().but(**self._given)
        drawn = config.seed, config.examples
        if self.not_run:
            return Report(self._subject.pair.name, *drawn, {}, None, [], not_run={self.name: self.not_run})
        if self._outcome is not None:
            return runner.report(self._subject.corners(config), *drawn, self._command, [self._outcome])
        if error is None or isinstance(error, pytest.fail.Exception):  # of `prepare`, which has told all in its line
            error = ParityError(str(error))
        outcome = Outcome(self.name, self._claim, error=Failure.of(error, "none", self._command))
        return Report(self._subject.pair.name, *drawn, {}, None, [outcome])


def check_of(item: pytest.Item) -> Check | None:
    """The check that a test runs, if it is one of parity's."""
    if isinstance(item, ParityCheck):
        return item.check
    check = item.callspec.params.get("check") if hasattr(item, "callspec") else None
    return check if isinstance(check, Check) else None


def checks(subject: Subject, **options: Any) -> list[Check]:
    """Every check of a pair, in run order."""
    from parity.checks import checks_of

    return [Check(module, subject, options) for module in checks_of(subject.pair, converted=True)]


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Keep a failing test's log free of torch's trace of its own export: hundreds of records without a text.

    torch hands them on to nobody; pytest listens all the same where torch is loaded before a test begins.
    """
    logger = logging.getLogger("torch.__trace")
    before = logger.handlers
    logger.handlers = [handler for handler in before if type(handler).__module__.startswith("torch.")]
    try:
        yield
    finally:
        logger.handlers = before


def settings(config: pytest.Config) -> "Config":
    """The project's configuration, but for what the options give. Raises ParityError as `config.load`."""
    from parity.frontends.config import load

    options = {key: config.getoption(f"parity_{key}") for key in ("seed", "examples")}
    return load(config.rootpath).but(**options)


def prepare(item: pytest.Item, check: Check, command: str) -> None:
    """Get a check ready in a test's setup. Raises pytest's own failure, of one line, for misuse."""
    try:
        check.prepare(settings(item.config), command, item.config.getoption("parity_all"))
        if not hasattr(item.config, "workerinput"):  # a worker of pytest-xdist may be given none of these
            _begin_server(item.session)
    except ParityError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _begin_server(session: pytest.Session) -> None:
    """Start what fresh processes are forked from while other checks run, where a test of the session needs one."""
    from parity.backends import process
    from parity.checks import FRESH_PROCESS

    if any(check.module in FRESH_PROCESS for check in map(check_of, session.items) if check):
        process.warm()


class Collection:
    """Collects the pairs of `--parity`, beside whatever test files there are."""

    def __init__(self, pairs: dict[str, "Pair"]) -> None:
        self._pairs = pairs

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the named pairs to what the session collects."""
        report = yield
        if isinstance(collector, pytest.Session):
            for target, pair in self._pairs.items():
                node = ParityPair.from_parent(collector, name=target, nodeid=f"parity::{target}", subject=Subject(pair))
                report.result.append(node)
        return report


class ParityPair(pytest.Collector):
    """A pair named by `--parity`."""

    def __init__(self, *, subject: Subject, **named: Any) -> None:
        super().__init__(**named)
        self._subject = subject
        for mark in MARKS:
            self.add_marker(mark)

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each check of the pair."""
        for check in checks(self._subject):
            yield ParityCheck.from_parent(self, name=check.name, check=check)

    def teardown(self) -> None:
        """Let the pair's models go once its last check has run."""
        self._subject.forget()


class ParityCheck(pytest.Item):
    """One check of a pair named by `--parity`."""

    def __init__(self, *, check: Check, **named: Any) -> None:
        super().__init__(**named)
        self.check = check

    def setup(self) -> None:
        """Get the check ready, with the command that runs it alone."""
        target = self.listchain()[-2].name
        wanted = shlex.quote(f"{target} and {self.name}")
        prepare(self, self.check, f"pytest --parity {target} -k {wanted}")

    def runtest(self) -> None:
        """Run the check."""
        __tracebackhide__ = True
        self.check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A finding and misuse as they read; an unexpected error with a traceback, but without pytest's own frames."""
        if isinstance(excinfo.value, Mismatch | ParityError):
            return super().repr_failure(excinfo, "value")
        excinfo.traceback = excinfo.traceback.cut(path=__file__).filter(excinfo)
        return super().repr_failure(excinfo, style or "short")

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """The check's place and name, as pytest's reports have them."""
        return self.path, None, self.nodeid
