"""Steps of `code.torch` by other operations."""

import torch
from torch.nn import functional


def max_pooled(x):
    """By windows."""
    return x[:, :, :8].unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1))


def mean_pooled(x):
    """A sum of neighbours over how many there are, as a convolution."""
    ones = torch.ones(6, 1, 3, 3, dtype=x.dtype)
    sums = functional.conv2d(x, ones, padding=1, groups=6)
    return sums / functional.conv2d(torch.ones_like(x), ones, padding=1, groups=6)


def doubled(x):
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def padded(x):
    """By concatenation."""
    x = torch.cat([torch.zeros_like(x[:, :, :1]), x, torch.zeros_like(x[:, :, :1])], 2)
    return torch.cat([torch.zeros_like(x[..., :2]), x, torch.zeros_like(x[..., :2])], 3)


def gated(x):
    """torch's own gated linear unit."""
    return functional.glu(x, 1).repeat(1, 2, 1, 1)


def dealt(x):
    """By an index."""
    return x[:, [0, 3, 1, 4, 2, 5]]


def edges(x):
    """The convolution as a product."""
    kernel = torch.tensor([1.0, 2.0, 0.5, 0.0, 0.25, 0.0, -1.0, -2.0, -3.0], dtype=x.dtype)
    windows = functional.unfold(x, 3).unflatten(1, (6, 9))  # (batch, 6, 9, places)
    return (kernel @ windows).unflatten(-1, (7, 6))


def normed(x):
    """torch's own layer."""
    return functional.instance_norm(x, eps=1e-5)


def centred(x):
    """With the channels last."""
    last = x.permute(0, 2, 3, 1).flatten(1, 2)
    return (last - last.sum(1, keepdim=True) / last.shape[1]).unflatten(1, (9, 8)).permute(0, 3, 1, 2)


def attended(x):
    """By the fused kernel."""
    seen = torch.ones(7, 7, dtype=torch.bool).tril()
    return functional.scaled_dot_product_attention(x, x, x, attn_mask=seen, scale=0.5)


def in_heads(x):
    """By einsum, the heads never turned to the front."""
    split = x.unflatten(-1, (3, 4))
    shares = torch.einsum("bihd,bjhd->bhij", split, split).softmax(-1)
    return torch.einsum("bhij,bjhd->bihd", shares, split).flatten(2)


def biased_twice(x):
    """The softmax's division comes behind the product; the bias is added to the scaled product in one call."""
    bias = torch.arange(49).to(x.dtype).reshape(7, 7) / 24 - 1
    for _ in range(2):
        scores = torch.baddbmm(bias, x, x.mT, alpha=0.25)
        powers = (scores - scores.amax(-1, keepdim=True)).exp()
        x = torch.matmul(powers, x) / powers.sum(-1, keepdim=True) + x
    return x


def normed_thrice(x):
    """By the sum of squares and a quotient."""
    for _ in range(3):
        x = x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True).square() / 12 + 1e-3).sqrt() + torch.tanh(x)
    return x


def summed(x):
    """By a product with a triangle."""
    return torch.ones(7, 7, dtype=x.dtype).tril() @ x


def weighed(x):
    """By powers."""
    return x * torch.exp(0.5 * x - torch.logsumexp(0.5 * x, 1, keepdim=True))


def distances(x):
    """By torch's own distance."""
    squares = torch.cdist(x, x).square() + 1e-3
    return squares.sqrt().softmax(-1) @ x


def related(x):
    """By a product, the sum of its operand a product too."""
    return x @ (torch.ones(7, 7, dtype=x.dtype).tril() @ x).mT @ x


def mixed(x):
    """torch's own interpolation."""
    return torch.lerp(x, x.sin(), 0.3)
