"""OpenAI's wire forms to our nouns and back."""
