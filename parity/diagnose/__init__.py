"""Why two sides differ: candidate causes, kept only if undoing one brings the difference to the floor.

A cause is never a guess: a candidate is applied to an isolated copy of the layer, or to a recomputation of the stage,
and what is left of the difference is measured, on inputs and weights that were not used to find it. Where nothing
closes the gap, what was tried is said.

    explain       the way in: a finding -> a `Diagnosis`, by the stage that its check names
    located       a batch -> the layers that part on it, and why each does
    locate        which layers introduce a difference
    operators     which operations do, at which line, and by which edit they would not
    layers        why a layer makes something else: settings, weights read otherwise, other formulas, masks
    stages        why a stage differs that is no layer: tokenizer, data, loss, optimizer, files, generation
    relations     which parameter was made from which, by values alone (`parity port`); `strides`: how its axes run
    search        the shared part of a proof: probes, candidates, segments, and what is left of a difference
    constants     numbers as somebody would have written them
    place         `parity.locate` and `parity locate`
    wording, specimens    how a cause is told; inputs that show faults

`CAUSES` below has every cause's name and meaning. An explainer is a function that gives (causes, what was ruled out);
it is called by `explain`, or by its family, and no error in it ends a report.
"""

from parity.checks.results import Cause as Cause
from parity.checks.results import Diagnosis as Diagnosis

# name -> what it means. A fault is blamed on one of these.
CAUSES = {
    # layers: settings and formulas
    "epsilon": "a normalisation's or optimizer's epsilon has another value",
    "epsilon placement": "epsilon is added elsewhere: to the deviation instead of the variance, inside the root",
    "groups": "a normalisation over another number of groups",
    "activation": "another activation function, or another form of it",
    "slope": "another slope of a leaky activation",
    "reset_after": "the GRU's reset gate acts before the product instead of after it",
    "scale": "a constant factor is missing or has another value",
    "offset": "a constant is added",
    "axes": "a normalisation takes mean and variance over other axes",
    "variance": "a normalisation's variance divides by one less than the count",
    "clipped": "values, norms or gradients are cut off at a bound",
    "first state": "a recurrence starts from something else than zeros",
    "padding": "a convolution or a pooling pads other numbers of places before and behind",
    "dilation": "a convolution reads places that are further apart",
    "stride": "a convolution or a pooling goes on by another number of places",
    "padding value": "something else than zeros stands before or behind a text",
    "norm placement": "the normalisation stands after the sum instead of before it, or is missing",
    "residual": "the residual connection is missing or doubled",
    "flatten order": "an array is flattened with its axes in another order",
    "time shift": "the layer sees other positions: shifted, or one token more or fewer",
    "dropout": "dropout is left on, stands elsewhere, or what is dropped is another share",
    "training mode": "a layer is left in training mode: its calls change its running statistics",
    "state kept": "a layer goes on from the state of the call before",
    "recurrence": "a recurrent layer follows another formula: peepholes, an inverted gate",
    "batch mixed": "a row sees the rows beside it",
    "unstable formula": "a formula that loses float32 precision",
    # weights
    "transposed": "a matrix is read with its axes exchanged",
    "gate order": "the gates are read in another order",
    "kernel backwards": "a convolution's kernel is read backwards in time",
    "biases summed": "two biases act as their sum, where a gate should scale one of them",
    "bias missing": "a bias is left out",
    "bias doubled": "a bias is counted twice",
    "weights rounded": "the weights went through a lower precision",
    "weights changed": "single weights have other values",
    "weights transformed": "each number is a function of what it should be: its root, its reciprocal, its logarithm",
    "batch norm folded": "a batch normalization was folded into the layer before it in another way",
    "weights swapped": "two parameters stand in each other's place",
    "weights not copied": "a parameter keeps its initial value",
    # attention
    "head split": "the heads are split along the other axis",
    "rotary halves": "the halves of each head are interleaved on one side and behind each other on the other",
    "query key value": "query, key and value are exchanged",
    "softmax axis": "the softmax runs over another axis",
    "attention scale": "the scores are scaled by another constant",
    "mask missing": "what should be hidden is seen",
    "mask inverted": "what should be seen is hidden, and the other way round",
    "mask": "a mask hides other places",
    "mask offset": "the mask is off by a position",
    "mask window": "what is further back is hidden",
    "mask value": "masked scores have a finite value that is too small to hide them",
    "mask of the inputs": "an id of padding inside a text is taken for padding",
    "positions": "positions are counted or laid out in another way",
    # operations
    "argument": "an operation is called with another value of an argument",
    "extra operation": "one side does something that the other does not",
    "repeats": "operations are repeated, or a layer is applied, another number of times",
    "lower precision": "something goes through a lower precision on one side",
    "operand": "an operation takes a function of what it takes on the other side",
    "operation": "two operations that stand in each other's place do not compute the same",
    # inputs
    "order": "what stands along an axis is in another order, as a picture's colours BGR for RGB",
    # loss
    "reduction": "the losses are summed or averaged over something else",
    "padding counted": "padding is counted in the loss",
    "from_logits": "probabilities are taken for logits, or logits for probabilities",
    "clipped probabilities": "a constant inside the logarithm, or clipped probabilities",
    "label smoothing": "labels are smoothed otherwise, or not at all",
    "class weights": "classes are weighted otherwise",
    "target shift": "inputs and targets are shifted by another number of positions",
    # gradients
    "gradient stopped": "no gradient passes, or a parameter is frozen on one side",
    "straight through": "the gradient passes an operation as if it were not there",
    "gradient scaled": "the gradient is a multiple of the other side's",
    "pad row": "the table's row of padding is trained on one side only",
    # optimizer
    "optimizer": "the two sides train by different optimizers",
    "decay form": "weight decay is applied in another form or by another amount",
    "momentum": "momentum, of an optimizer or of running statistics, Nesterov's form or dampening differ",
    "memory": "the decay rate of a running mean of squares differs",
    "step count": "the step counter starts elsewhere",
    "clipping": "the norm that clips is computed otherwise, or gradients are not clipped",
    "accumulation": "micro-batches are summed instead of averaged",
    "rate": "the learning rate, or when it changes, differs",
    "sparse rows": "repeated rows are squared before they are summed",
    "seed": "something is drawn that no seed decides",
    "hash order": "an order that the hashes of strings decide, as that of a set, which each process has otherwise",
    "two biases": "both of torch's biases are trained, so that their sum moves twice as fast",
    # data, tokenizer, files, generation
    "padding side": "batches are padded on the other side",
    "pad id": "batches are padded with another id",
    "truncation": "long texts are cut on the other side or at another length",
    "rows lost": "rows are left out or doubled",
    "row order": "rows come in another order",
    "special ids": "special ids are added or left out",
    "tokenizer": "the two sides do not use the same tokenizer",
    "dtype": "ids come in another type",
    "saved precision": "values are rounded on their way to disk and back",
    "saved incompletely": "not everything is saved or restored",
    "state dropped": "streaming does not carry the whole state",
}
