"""Transfer studies: what transfer really gives against what the metrics said."""
