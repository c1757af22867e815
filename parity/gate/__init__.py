"""What was found, held against what was accepted.

A baseline is a run that somebody accepted, with a reason (`parity bless`). The gate runs again and says what is other:
verdicts and findings (`differences`), and golden outputs and noise of a fixed example (`golden`, `golden_differences`),
each with its cause: another version, other draws, or the models. `baseline` is the file, sealed against changes by
hand; `documents` reads it.
"""
