"""The files of models: what formats lose in silence is refused."""

import numpy as np
import pytest
import torch

from parity.errors import ParityError


def test_a_tiny_model_comes_back(kept):
    tiny, path, module = kept
    for found, saved in zip(tiny.values(tiny.formats.load(tiny.build(), path)), tiny.values(module), strict=True):
        np.testing.assert_array_equal(found, saved)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_weight_that_is_stored_transposed_is_saved(suffix, tiny_of, tmp_path):
    tiny = tiny_of("torch")
    module = tiny.build()
    weight = next(module.parameters())
    weight.data = weight.data.T.contiguous().T
    tiny.formats.save(module, tmp_path / f"model{suffix}")

    loaded = tiny.formats.load(tiny.build(), tmp_path / f"model{suffix}")
    for found, saved in zip(tiny.values(loaded), tiny.values(module), strict=True):
        np.testing.assert_array_equal(found, saved)


def test_a_checkpoint_of_a_training_run_is_read_for_its_weights(tiny_of, tmp_path):
    """With an epoch and an optimizer beside them, of a model that ran in parallel."""
    tiny, path = tiny_of("torch"), tmp_path / "model.pth"
    module = tiny.build()
    optimizer = torch.optim.SGD(module.parameters(), momentum=0.9)
    weights = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    torch.save({"epoch": 3, "weights": weights, "optimizer": optimizer.state_dict()}, path)

    loaded = tiny.formats.load(tiny.build(), path)
    for found, saved in zip(tiny.values(loaded), tiny.values(module), strict=True):
        np.testing.assert_array_equal(found, saved)
    torch.save({"weights": weights, "average": weights}, path)
    assert "is missing, but should" in tiny.refusal(tiny.build(), path)


def test_another_precision_is_refused_not_cast(kept):
    tiny, path, _ = kept

    assert "float32, but should" in tiny.refusal(tiny.build(dtype="float64"), path)
    tiny.formats.save(tiny.build(dtype="float64"), path)
    assert "float64, but should" in tiny.refusal(tiny.build(), path)


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a",), ("a", "z")], ids="-".join)
def test_other_layers_are_refused(names, kept):
    """More than the model has, fewer, or of another name; all of one shape."""
    tiny, path, _ = kept
    tiny.formats.save(tiny.build(names), path)

    assert " but should " in tiny.refusal(tiny.build(), path)


def test_layers_in_another_order_go_by_name_or_are_refused(kept):
    tiny, path, _ = kept
    saved = tiny.build(("b", "a"))
    tiny.formats.save(saved, path)
    if path.name.endswith((".keras", ".weights.h5")):
        assert tiny.refusal(tiny.build(), path).startswith("holds b/kernel (3, 3) float32, but should hold a/kernel")
    else:
        found, (b_kernel, *_) = tiny.values(tiny.formats.load(tiny.build(), path)), tiny.values(saved)
        np.testing.assert_array_equal(found[2], b_kernel)


def test_keras_itself_takes_swapped_layers_and_a_cast_without_a_word(tmp_path, tiny_of):
    """What the refusals above are for. When one of these no longer holds, its guard may go."""
    tiny = tiny_of("tensorflow")
    path = tmp_path / "model.weights.h5"
    saved, other = tiny.build(("b", "a", "c"), dtype="float64"), tiny.build()
    saved.save_weights(path)
    other.load_weights(path)

    for found, kept in zip(tiny.values(other), tiny.values(saved)[:4], strict=True):
        np.testing.assert_array_equal(found, kept.astype(np.float32))


def test_weights_that_keras_wrote_itself_are_taken_by_place_and_without_their_optimizer(tmp_path, tiny_of):
    """As a user's `save_weights` writes them, behind a training."""
    tiny, path = tiny_of("tensorflow"), tmp_path / "model.weights.h5"
    saved = tiny.build()
    saved.compile("adam", "mse")
    saved.train_on_batch(np.ones((2, 3)), np.ones((2, 3)))
    saved.save_weights(path)
    loaded = tiny.values(tiny.formats.load(tiny.build(), path))

    assert all(np.array_equal(*both) for both in zip(loaded, tiny.values(saved), strict=True))
    assert tiny.refusal(tiny.build(("a", "b", "c")), path).startswith("holds nothing, but should hold layers/dense_2/")


def test_a_mistyped_key_restores_nothing_without_a_word_and_is_refused(tmp_path, tiny_of):
    import tensorflow as tf

    tiny, path = tiny_of("tensorflow"), tmp_path / "model.ckpt"
    saved, other = tiny.build(), tiny.build()
    tf.train.Checkpoint(variabels={v.path: v.value for v in saved.weights}).write(str(path))
    before = tiny.values(other)
    tf.train.Checkpoint(variables={v.path: v.value for v in other.weights}).read(str(path))

    assert all(np.array_equal(old, new) for old, new in zip(before, tiny.values(other), strict=True))
    assert tiny.refusal(other, path) == (
        "holds variabels/tiny/a/bias (3,) float32, but should hold a/bias (3,) float32"
    )


def test_an_optimizer_that_is_not_built_yet_is_refused_not_left_out(tmp_path, tiny_of):
    """Keras only warns, and goes on from an optimizer that knows nothing."""
    tiny, path = tiny_of("tensorflow"), tmp_path / "model.weights.h5"

    def compiled():
        module = tiny.build()
        module.compile("adam", "mse")
        return module

    trained = compiled()
    trained.train_on_batch(np.ones((2, 3)), np.ones((2, 3)))
    tiny.formats.save(trained, path)

    assert tiny.refusal(compiled(), path).startswith("holds optimizer/vars/")


def test_a_model_that_branches_on_its_data_is_not_exported(tmp_path, capfd, tiny_of):
    import torch

    class Branching(torch.nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 3 else x

    with pytest.raises(ParityError, match=r"model\.pt2: torch\.export refuses the model \("):
        tiny_of("torch").formats.export(Branching(), np.ones((2, 3)), tmp_path / "model.pt2")
    assert "def forward" not in capfd.readouterr().err
