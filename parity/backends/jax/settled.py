"""What JAX has settled before any operation."""

import os

import jax
from jax._src import xla_bridge

# One thread; and as a rule each shape is compiled to be run a few times: not to optimize takes half the time.
FLAGS = (
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
)


def prepare() -> str:
    """As `Backend.prepare`."""
    jax.config.update("jax_enable_x64", True)
    if xla_bridge.backends_are_initialized():
        own = os.environ.get("XLA_FLAGS", "")
        return "" if FLAGS[0] in own else "JAX has run an operation before parity, and keeps its devices and threads"
    jax.config.update("jax_platforms", "cpu")  # torch is on the CPU; one elsewhere is no twin
    own = os.environ.get("XLA_FLAGS", "")
    flags = [flag for flag in FLAGS if flag.partition("=")[0] not in own]
    os.environ["XLA_FLAGS"] = " ".join(filter(None, [own, *flags]))
    return ""
