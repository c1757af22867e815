"""The table of what a port's parameters were made from."""

import numpy as np

from parity.diagnose.relations import related
from parity.report.relations import ANY, counted, rows

RANDOM = np.random.default_rng(0)
KERNELS = {f"layers.{at}.kernel": RANDOM.standard_normal((5, 7)).astype(np.float32) for at in range(2)}
BIASES = {f"layers.{at}.bias": np.zeros(7, np.float32) for at in range(2)}
FUSED = {"layers.0.fused": np.zeros(21, np.float32)}


def test_a_parameter_of_one_number_is_not_said_to_be_made_from_another():
    port = KERNELS | BIASES
    found = [(name, sources, count) for name, _, sources, _, count in rows(related(port, port))]

    assert found == [("layers.*.kernel", "layers.*.kernel", 2), ("layers.*.bias", ANY, 2)]


def test_a_parameter_of_one_number_is_not_left_out_where_the_port_has_one_of_it():
    source = KERNELS | FUSED | {"norm.gain": np.ones(7, np.float32), "more": np.arange(3, dtype=np.float32)}
    text = counted(related(source, KERNELS | {"bias": np.zeros(21, np.float32)}), source, ("a", "b"))
    assert text.endswith("; 2 of the source have no part in the port")
    text = counted(related(source | BIASES, KERNELS | BIASES), source | BIASES, ("a", "b"))
    assert text.endswith("; 2 of the source have no part in the port")
