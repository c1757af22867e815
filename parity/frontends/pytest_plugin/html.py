"""pytest: what the checks of a session found, as one HTML page, however many workers ran them."""

import json
from pathlib import Path
from typing import Any

import pytest

from parity.checks.results import UNASKED
from parity.errors import ParityError
from parity.files import check_place, replacing
from parity.frontends.pytest_plugin.nodes import check_of
from parity.report import html
from parity.report.document import SCHEMA

Entry = dict[str, Any]


class Attaching:
    """A plug-in of whatever process runs tests: each test's report carries what its check found."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Attach what a check found to its report, as JSON, which crosses processes."""
        report = yield
        check = check_of(item)
        if check is not None and (call.when == "call" or report.failed) and (check.not_run or not report.skipped):
            error = call.excinfo.value if call.excinfo else None
            report.parity = json.dumps([item.nodeid.partition("[")[0], check.report(error).document()])
        return report


class Page:
    """A plug-in of the process that reports: it brings together what reports carry, and writes the page at the end.

    Raises ParityError as `check_place`, before any test runs.
    """

    def __init__(self, path: Path) -> None:
        check_place(path)
        self._path = path
        self._pairs: list[tuple[str, Entry]] = []
        self._written = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what is attached to a report, whichever process ran the test."""
        if hasattr(report, "parity"):
            self._add(*json.loads(report.parity))

    def _add(self, test: str, fields: Entry) -> None:
        """Add a report to that of the same pair by the same test; a check that is there already begins another."""
        names = {check["name"] for check in fields["checks"]}
        for known, entry in self._pairs:
            if (known, entry["pair"]) == (_of(test), fields["pair"]) and not names & set(map(_name, entry["checks"])):
                entry["checks"] += fields["checks"]
                entry["holds"] &= fields["holds"] or not fields["checks"]
                entry["not_run"] = {**entry.get("not_run", {}), **fields.get("not_run", {})}
                for key in ("environment", "tokenizer"):
                    entry[key] = entry[key] or fields[key]
                return
        self._pairs.append((_of(test), {**fields, "command": ""}))

    @pytest.hookimpl(tryfirst=True)  # before the summary, which names the file
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the page, unless the run was interrupted."""
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            return
        try:
            with replacing(self._path) as temporary:
                temporary.write_text(html.checked(self._document()), encoding="utf-8")
            self._written = True
        except ParityError as error:
            pytest.exit(f"parity: {error}", pytest.ExitCode.USAGE_ERROR)

    def _document(self) -> Entry:
        """All reports as `documents` has them, their checks in the order of a report, whatever order they ran in."""
        from parity.checks import agreed

        order = agreed()
        reports = [entry for _, entry in self._pairs]
        for entry in reports:
            entry["checks"].sort(key=lambda check: order.index(check["name"]))
            there = {*map(_name, entry["checks"]), *entry["left_out"]}
            known = entry.get("not_run", {})
            entry["not_run"] = {name: known.get(name, UNASKED) for name in order if name not in there}
        holds = bool(reports) and all(entry["holds"] for entry in reports)
        return reports[0] if len(reports) == 1 else {"schema": SCHEMA, "holds": holds, "reports": reports}

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name the page below pytest's own summary."""
        count = sum(len(entry["checks"]) for _, entry in self._pairs)
        if self._written:
            terminalreporter.write_sep("-", f"parity: {count} check{'s' * (count != 1)} in {self._path}")


def _of(test: str) -> str:
    """What the tests of one pair have in common: of `--parity PAIR` all but the check's own name."""
    head, colons, _ = test.rpartition("::")
    return head if test.startswith("parity::") and colons else test


def _name(check: Entry) -> str:
    return str(check["name"])
