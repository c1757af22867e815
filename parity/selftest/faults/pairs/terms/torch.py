"""Steps of a model in PyTorch, beside tensorflow.py: terms, masks, orders of operations."""

import torch
from torch.nn import functional


def pooled_and_cut(x, cut_first=True):
    if cut_first:
        return functional.avg_pool2d(x.relu(), 3, 1)
    return functional.avg_pool2d(x, 3, 1).relu()


def resized(x, mode="bilinear"):
    return functional.interpolate(x, (12, 11), mode=mode)


def patches(x, size=2):
    folded = functional.pixel_unshuffle(functional.pad(x, (0, 0, 0, 1)), size)
    return folded.unflatten(1, (6, size * size)).mul(torch.arange(size * size).to(x.dtype)[:, None, None]).sum(2)


def with_places(x, centred=True):
    down = torch.arange(9).to(x.dtype) / 8
    down = down * 2 - 1 if centred else down
    return x + down[:, None]


def weighed_channels(x, softened=True):
    shares = x.mean((2, 3), keepdim=True)
    shares = shares.sigmoid() if softened else shares
    return x * shares


def by_groups(x, groups=3):
    return functional.group_norm(x, groups, eps=1e-5)


def crossed(x, power=2):
    return x / (1 + x.abs() ** power).sqrt()


def deviation(x, root=True):
    variance = x.var((2, 3), keepdim=True, unbiased=False) + 1e-3
    return x / (variance.sqrt() if root else variance)


def by_distance(x, sign=1, slope=0.5):
    place = torch.arange(7).to(x.dtype)
    bias = sign * slope * (place[:, None] - place)
    return (x @ x.mT / 4 + bias).softmax(-1) @ x


def in_a_window(x, width=2):
    place = torch.arange(7)
    far = (place[:, None] - place).abs() > width
    return (x @ x.mT / 4).masked_fill(far, -torch.inf).softmax(-1) @ x


def normed_before(x, before=True):
    def norm(z):
        return functional.layer_norm(z, (12,), eps=1e-5)

    return x + torch.tanh(norm(x)) if before else norm(x + torch.tanh(x))


def smoothed(x, share=0.9):
    steps = [x[:, 0]]
    for place in range(1, 7):
        steps.append(share * steps[-1] + (1 - share) * x[:, place])
    return torch.stack(steps, 1)


def differences(x, forward=True):
    change = x[:, 1:] - x[:, :-1] if forward else x[:, :-1] - x[:, 1:]
    return torch.cat([x[:, :1], change], 1)


def causal(x, left=2, right=0):
    kernel = torch.tensor([0.5, 1.0, -0.25], dtype=x.dtype).expand(12, 1, 3)
    return functional.conv1d(functional.pad(x.mT, (left, right)), kernel, groups=12).mT


def enlarged(x, factor=12**0.5):
    return torch.tanh(x * factor)


def scaled_branch(x, branch=True):
    change = torch.sin(x)
    return x + 0.1 * change if branch else 0.1 * x + change


def logarithm(x, one=True):
    return torch.log1p(x.abs()) if one else torch.log(x.abs() + 1e-2)


def progress(x, last=6):
    return x * (torch.arange(7).to(x.dtype) / last)[:, None]


def counted_heads(x, heads=3):
    split = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = split @ split.mT * split.shape[-1] ** -0.5
    return (scores.softmax(-1) @ split).transpose(1, 2).flatten(2)


def largest(layers, ids, hidden=True):
    table, encoder = layers
    x, _ = encoder(table(ids))
    gone = ((ids == 0) & (torch.arange(ids.shape[1]) > 0))[..., None]
    return (x.masked_fill(gone, -10.0) if hidden else x).amax(1)


def last_read(layers, ids, valid=True):
    table, encoder = layers
    x, _ = encoder(table(ids))
    end = (ids != 0).sum(1).clamp(min=1) - 1 if valid else torch.full((len(ids),), ids.shape[1] - 1)
    return x[torch.arange(len(ids)), end]


def summed_read(layers, ids, mask=True):
    table, encoder = layers
    x, _ = encoder(table(ids))
    return (x * (ids != 0)[..., None].to(x.dtype) if mask else x).sum(1) / 9
