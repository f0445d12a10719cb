"""Large pictures as tiles: where they lie, cutting in bounded memory, labels and predictions in and out of them."""
