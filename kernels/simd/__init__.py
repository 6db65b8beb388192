"""Eight float64 numbers as one value: what every kernel computes with."""
