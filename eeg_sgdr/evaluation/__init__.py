"""From probabilities to numbers: evaluation.csv and comparison.csv."""
