"""What follows from the theory of one mode and of whole networks, in closed form."""
