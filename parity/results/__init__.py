"""What parity found, as data: a cause and its place, a finding, a check's outcome, a report."""

from parity.results.diagnosis import Cause as Cause
from parity.results.diagnosis import Diagnosis as Diagnosis
from parity.results.diagnosis import DifferingOperation as DifferingOperation
from parity.results.diagnosis import Layer as Layer
from parity.results.diagnosis import OperationPair as OperationPair
from parity.results.diagnosis import weaker as weaker
from parity.results.outcome import ERROR as ERROR
from parity.results.outcome import Failure as Failure
from parity.results.outcome import Finding as Finding
from parity.results.outcome import Outcome as Outcome
from parity.results.outcome import Shown as Shown
from parity.results.report import FOLLOWING as FOLLOWING
from parity.results.report import SCRIPT as SCRIPT
from parity.results.report import STOPPED as STOPPED
from parity.results.report import UNASKED as UNASKED
from parity.results.report import Report as Report
from parity.results.report import reasons as reasons
from parity.results.report import status as status
