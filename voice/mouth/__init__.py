"""The mouth: from a model's tokens to clauses that are spoken, and what of them was heard. Pure."""
