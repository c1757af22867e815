"""The PyTorch backend: all that `backends.protocol.Backend` asks for. Imports torch and no other framework.

A part of it each stands in a file of its own, which has a counterpart of the same name in `parity/backends/keras/`, or
in the folders of TensorFlow and JAX where Keras leaves it to what it runs on.

    model         a corner: the verbs of `BackendModel`, each by one of the files below
    modules       what a builder may return; its variables
    layers        which of them are which canonical parameter, by the classes in `kinds`
    hooks         the calls of layers, seen and replaced
    losses, training, optimizers      the loss of a token; steps by a recipe; the user's own optimizer
    modes, attributes                 what training mode draws and keeps; what else a layer is set to
    precision, promotion, running     one dtype at a time; float32 on purpose raised to float64; with a tape or without
    operations, calls, signatures, backward      a run, operation by operation, run again with edits
    unfused       functions that do several things at once, by what they are made of
    formats, pickled, ported          files, read as data; models of Hugging Face's
    data, storage, settled            rows as batches; memory given back for a while; threads
"""

import torch

from parity.backends.torch.data import feed as feed
from parity.backends.torch.formats import PROGRAM as PROGRAM
from parity.backends.torch.hooks import alternating as alternating
from parity.backends.torch.model import EDITABLE as EDITABLE
from parity.backends.torch.model import FORMATS as FORMATS
from parity.backends.torch.model import NAME as NAME
from parity.backends.torch.model import OFF as OFF
from parity.backends.torch.model import Model as Model
from parity.backends.torch.model import load as load
from parity.backends.torch.model import program as program
from parity.backends.torch.model import reload as reload
from parity.backends.torch.model import seed as seed
from parity.backends.torch.modes import reseeded as reseeded
from parity.backends.torch.modes import statistics as statistics
from parity.backends.torch.precision import precision as precision
from parity.backends.torch.settled import prepare as prepare
from parity.backends.torch.storage import discard_compiled as discard_compiled
from parity.backends.torch.storage import released as released
from parity.backends.torch.training import divergences as divergences


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}
