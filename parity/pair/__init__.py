"""Two builds of one model: linked, given the same weights, run in every precision.

A pair is what the user writes; `models.PairModels` is what it becomes: live models, two sides in each dtype, which a
check asks questions and which answer with squares of arrays. In the order in which that comes about:

    pair, roles      what the user says; each side's name, its backend and what its model is made from
    assembly         both sides built in float32, probed (`validation`), linked, then built in the other dtypes
    links            which layer is whose counterpart (`twins`): by name, shape and flow (`sides`, `related`, `alike`);
                     `computed`: a weight or what it is computed of; `normed`: g and v beside one plain array
    link_proof       what only an order tells, proved by running (`nearness`); `forms`: how both are read alike
    orders, stacks   what one side has in another order, a cell's gates; or as one where the other has several
    containers       whose counterpart a module is that only holds layers
    link_table       the same as a table, for `parity links`
    transfer         weights: source -> canonical -> target, audited; nothing reshaped, cast or left over
    carried          what the builders loaded into both, of a converted pair
    constants        variables that nothing trains: each side keeps its own
    models           the verbs: outputs, loss, gradients, training, in every corner
    lending          what pairs have in common that share models
    answer, rerun    a square of live results, and how rounding alone would move them
    training, rehearsal, draws (draw_counts), decoding    several calls of one model: steps, training mode, a stream
    criterion, optimizers                   a loss and optimizers of the user's own
    exercised        what the checks never tried, which a report says
    thresholds       numbers that operations end at or compare with, and examples that come beyond them
    outputs          the same judgement of bare arrays: `parity.judge_outputs`; `comparison`: `parity.compare`
    one_side         a side that never meets the other in one process: it is `dumped` to a file,
                     and read beside its `counterpart`; `stored` reads and writes files of arrays
    checkpoint       a trained pair on disk
    memory           what a pair takes beside what there is; where that is scarce, arrays wait in a file (`shelf`) and
                     models without their parameters (`resting`)
"""
