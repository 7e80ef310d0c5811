"""What makes each backbone small enough to train for 50 steps in a second.

By its name in BACKBONES: changes to the architecture of the first of its named sizes.
"""

TINY: dict[str, dict] = {
    "encoder": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "stem_channels": [4, 8, 8],
    },
    "seist": {
        "stem_channels": [8, 8, 8, 8],
        "channels": [16, 16, 16, 32],
        "num_blocks": [1, 1, 2, 2],
        "num_attention_blocks": [0, 1, 1, 1],
        "head_dims": [8, 8, 8, 16],
    },
    "unet": {"channels": [4, 8, 8, 16, 16, 16]},
}
