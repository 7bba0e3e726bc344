"""What a study found: results as tables, metrics against the truth, how far the truth itself can be trusted."""
