"""What parity found, as data: a cause and its place, a finding, a check's outcome, a report.

`diagnosis` -> `outcome` -> `report`, each holding the one before; `page` gives a report its text, JSON and HTML, which
`parity.report` draws. Nothing here holds a model: results outlive the models, and cross processes.
"""

from parity.checks.results.diagnosis import ASIDE as ASIDE
from parity.checks.results.diagnosis import BETWEEN as BETWEEN
from parity.checks.results.diagnosis import Cause as Cause
from parity.checks.results.diagnosis import Diagnosis as Diagnosis
from parity.checks.results.diagnosis import DifferingOperation as DifferingOperation
from parity.checks.results.diagnosis import Layer as Layer
from parity.checks.results.diagnosis import OperationPair as OperationPair
from parity.checks.results.diagnosis import weaker as weaker
from parity.checks.results.outcome import ERROR as ERROR
from parity.checks.results.outcome import Failure as Failure
from parity.checks.results.outcome import Finding as Finding
from parity.checks.results.outcome import KnownDivergence as KnownDivergence
from parity.checks.results.outcome import Outcome as Outcome
from parity.checks.results.report import FOLLOWING as FOLLOWING
from parity.checks.results.report import SCRIPT as SCRIPT
from parity.checks.results.report import STOPPED as STOPPED
from parity.checks.results.report import UNASKED as UNASKED
from parity.checks.results.report import Report as Report
from parity.checks.results.report import reasons as reasons
from parity.checks.results.report import status as status
