"""The ears: from a session's microphone audio to what was heard in it: echo taken out, voice activity, wake words."""
