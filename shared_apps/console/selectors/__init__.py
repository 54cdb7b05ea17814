"""What the console reads over several apps at once. Main scope; nothing here writes."""
