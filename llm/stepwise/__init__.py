"""What engines share whose library gives logits and leaves the rest to us: transformers and MLX."""
