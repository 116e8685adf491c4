"""A small Piper voice that really speaks, made in seconds from espeak-ng: `voice.onnx` and `voice.onnx.json`.

What it is for: piper-tts is run for real on a machine that has no Piper voice and no way to get one, with Piper's
inputs, speed and per-phoneme times. It speaks American English, understandably and without beauty; any real Piper
voice is far better. It is derived from espeak-ng's speech, which is free of espeak-ng's licence.

How it is made. espeak-ng speaks every pair of its English phonemes once; the second half of one and the first half
of the next give a diphone: a few spectral envelopes with a voicing each. The ONNX graph is a channel vocoder: it lays
the diphones end to end for as long as the phonemes last, and filters a pulse train and noise with them.
"""
