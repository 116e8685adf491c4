"""The table that weighs short phrases over a reply: what stops us, what says "go on", and the rest.

The phrases are said by synthetic voices (espeak-ng with its variants, pitches and speeds, flite), with noise around
them, whole and cut off in the middle, for they are asked about while they are being said. Scores are those of the
product's own code; only a few hundred numbers that weigh them are fitted, so what is learned is how phrases stand to
one another, and not how the voices sound. Some voices are kept out and tell how well it did.
`second_opinion` fits the other network, which weighs the speech embedding of the same sounds.
"""
