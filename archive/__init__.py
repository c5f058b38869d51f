"""Raw mail: the bytes as they came and as they left."""
