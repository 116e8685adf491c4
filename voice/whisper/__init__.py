"""What the Whisper engine's partial transcripts are made of: when one is made, of which audio, and what it says."""
