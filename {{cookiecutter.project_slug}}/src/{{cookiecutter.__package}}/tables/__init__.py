"""Reading tables as they come: text in any encoding, any delimiter, Parquet, JSON."""
