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
    "eqt": {
        "channels": [4, 8, 8, 16],
        "kernel_sizes": [7, 5, 5, 3],
        "residual_kernel_sizes": [3, 2],
        "num_recurrent_blocks": 1,
        "num_transformer_blocks": 1,
        "intermediate_size": 32,
        "dropout": 0.0,
    },
    "seislm": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "stem_channels": [16, 16],
        "position_kernel": 16,
        "position_groups": 4,
    },
    "prime": {
        "channels": [4, 8, 8, 16, 16, 32],
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "dropout": 0.0,
    },
    "ditingmae": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    },
    "sar": {"hidden_size": 16},
    "seismollm": {
        "language_model_config": {
            "model_type": "gpt2",
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 2,
            "n_positions": 512,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        },
        "num_blocks": 1,
        "stem_channels": [4, 4, 4, 4],
        # LoRA of fine-tuning finds no room on the language model's own.
        "tuning": "full",
    },
    "unet": {"channels": [4, 8, 8, 16, 16, 16]},
}
