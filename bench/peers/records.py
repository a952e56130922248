"""10,000 records {id, name, score} there and back."""
import trips

records = [{"id": i, "name": f"name {i}", "score": i / 7} for i in range(10_000)]
print("ms", trips.median(records))
