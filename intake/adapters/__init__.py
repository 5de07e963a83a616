"""One monitoring format a file: mapping tables first, then one pure `parse`. Adapters never import each other."""
