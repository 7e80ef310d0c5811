"""The blocks of the published backbones against torch's own, and what their masks keep apart."""

import pytest
import torch
from seisfm.foundation.backbones.transformer import Block, Transformer
from torch import nn

DIM, NUM_HEADS, HIDDEN = 16, 4, 24


def random_tokens(seed=0):
    return torch.randn(2, 9, DIM, generator=torch.Generator().manual_seed(seed))


def new_transformer(**settings):
    torch.manual_seed(0)
    return Transformer(DIM, 2, NUM_HEADS, HIDDEN, **settings).eval()


def reference_of(block, norm_first):
    """torch's layer with a block's weights."""
    layer = nn.TransformerEncoderLayer(
        DIM, NUM_HEADS, HIDDEN, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
    )
    ours, parts = block.attention, ("query", "key", "value")
    own = {
        "self_attn.in_proj_weight": torch.cat([getattr(ours, part).weight for part in parts]),
        "self_attn.in_proj_bias": torch.cat([getattr(ours, part).bias for part in parts]),
    }
    same = {
        "self_attn.out_proj": ours.out,
        "linear1": block.feed_forward.up,
        "linear2": block.feed_forward.down,
        "norm1": block.attention_norm,
        "norm2": block.feed_forward_norm,
    }
    for name, module in same.items():
        own |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
    layer.load_state_dict(own)
    return layer.train()  # in evaluation it may take another path


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_is_the_layer_of_the_papers(norm_first):
    torch.manual_seed(0)
    block, tokens = Block(DIM, NUM_HEADS, HIDDEN, norm_first, 0.0), random_tokens()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    seen = torch.rand(2, 9, generator=torch.Generator().manual_seed(1)) < 0.7
    expected = reference_of(block, norm_first)(tokens, src_key_padding_mask=~seen)
    torch.testing.assert_close(block(tokens, seen[:, None, None, :]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_what_has_no_data_changes_no_one_else(norm_first):
    transformer, tokens = new_transformer(norm_first=norm_first), random_tokens()
    observed = torch.ones(2, 9, dtype=torch.bool)
    observed[:, 3:5] = False
    other = torch.where(observed[..., None], tokens, 50 * random_tokens(1))
    before, after = transformer(tokens, observed), transformer(other, observed)
    assert torch.equal(before[observed], after[observed])
    assert not torch.allclose(before[~observed], after[~observed])
    shortened = transformer(tokens[observed].unflatten(0, (2, -1)), torch.ones(2, 7, dtype=torch.bool))
    torch.testing.assert_close(before[observed], shortened.flatten(0, 1))


def test_a_window_without_any_data_stays_finite_and_alone():
    transformer, tokens = new_transformer(), random_tokens()
    observed = torch.tensor([[True] * 9, [False] * 9])
    answer = transformer(tokens, observed)
    assert answer.isfinite().all()
    torch.testing.assert_close(answer[:1], transformer(tokens[:1], observed[:1]))


def test_dropout_acts_in_training_alone():
    transformer, tokens = new_transformer(dropout=0.5), random_tokens()
    observed = torch.ones(2, 9, dtype=torch.bool)
    assert torch.equal(transformer(tokens, observed), transformer(tokens, observed))
    assert not torch.equal(transformer.train()(tokens, observed), transformer(tokens, observed))


def test_heads_that_cannot_share_the_width_are_refused():
    with pytest.raises(ValueError, match="the width must be a multiple of its 5 attention heads, found 16"):
        Transformer(DIM, 1, 5, HIDDEN)
