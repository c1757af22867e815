"""The TensorFlow backend: Keras models on TensorFlow, and what TensorFlow has beside them. Imports no other.

What Keras's models are stands in `parity/backends/keras/`; file for file beside JAX's.

    engine        the names of `parity.backends.keras.engine`, from the files below
    arithmetic    tensors that compute straight by the library's kernels
    precision     one dtype at a time, and what of a library is less exact than its dtype; `resizing`: in float64
    running       a function of tensors as a graph
    operations, backward      a run, operation by operation, and its gradients
    program, checkpoints, ported      SavedModels, checkpoints by names, models of KerasHub and of folders
    data, storage, settled    rows as batches; memory given back for a while; devices and threads
"""

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
from parity.backends.tensorflow.data import feed as feed
from parity.backends.tensorflow.engine import NAME as NAME
from parity.backends.tensorflow.engine import PROGRAM as PROGRAM
from parity.backends.tensorflow.engine import versions as versions
from parity.backends.tensorflow.precision import precision as precision
from parity.backends.tensorflow.settled import prepare as prepare
from parity.backends.tensorflow.storage import discard_compiled as discard_compiled
from parity.backends.tensorflow.storage import released as released
