"""How good a model is: figures, curves, matrices and every box's fate, as data and as pictures."""
