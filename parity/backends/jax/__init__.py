"""The JAX backend: Keras models on JAX. Imports jax, Keras and no other framework.

What Keras's models are stands in `parity/backends/keras/`; file for file beside TensorFlow's.

    engine        the names of `parity.backends.keras.engine`, from the files below
    arithmetic    tensors that compute straight by the library's kernels
    precision     one dtype at a time, and what of a library is less exact than its dtype
    running       a function of tensors as a graph
    operations, backward      a run, operation by operation, and its gradients
    seeing, scopes            operations as they happen; whether anything is compiled
    program       a model as StableHLO
    data, storage, settled    rows as batches; memory given back for a while; devices and precision
"""

from parity.backends.jax.data import feed as feed
from parity.backends.jax.engine import NAME as NAME
from parity.backends.jax.engine import PROGRAM as PROGRAM
from parity.backends.jax.engine import versions as versions
from parity.backends.jax.precision import precision as precision
from parity.backends.jax.settled import prepare as prepare
from parity.backends.jax.storage import discard_compiled as discard_compiled
from parity.backends.jax.storage import released as released
from parity.backends.keras import attributes as attributes
from parity.backends.keras import formats as formats
from parity.backends.keras import hooks as hooks
from parity.backends.keras import layers as layers
from parity.backends.keras import modules as modules
from parity.backends.keras.hooks import alternating as alternating
from parity.backends.keras.model import EDITABLE as EDITABLE
from parity.backends.keras.model import FORMATS as FORMATS
from parity.backends.keras.model import OFF as OFF
from parity.backends.keras.model import Model as Model
from parity.backends.keras.model import load as load
from parity.backends.keras.model import program as program
from parity.backends.keras.model import reload as reload
from parity.backends.keras.model import seed as seed
from parity.backends.keras.modes import reseeded as reseeded
from parity.backends.keras.modes import statistics as statistics
from parity.backends.keras.training import divergences as divergences
