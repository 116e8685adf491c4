"""The smallest Whisper that is one: a CTranslate2 model directory, made in seconds with numpy alone.

What it is for: faster-whisper is run for real on a machine that has no Whisper weights and no way to get them. It
tells silence and noise from speech and knows eight isolated words, as espeak-ng says them; on people it is bad. It is
no recogniser for use.

How it is made. The network has Whisper's architecture with one layer a side. Nothing in it is trained but the last
matrix: the convolutions are fixed random features of the spectrum's shape, the decoder's cross-attention averages
them over the frames that have a shape (over speech: silence, noise and padding are flat), and the output matrix is
a logistic regression from that average to the words, or to silence.
"""
