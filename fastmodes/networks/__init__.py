"""What a network is: weights, modes, bases, and how random and aligned ones are made."""
