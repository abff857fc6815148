"""Plain data: recipes, runs, results, shelves, errors. Standard library and pydantic only; nothing heavy."""
