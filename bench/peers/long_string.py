"""A string of 16 MiB there and back."""
import trips

print("ms", trips.median(b"0123456789abcdef" * (1 << 20)))
