"""Figures, one file each: `draw(numbers, texts) → Figure`, a matplotlib Figure made without pyplot or global state.

In a notebook: `from konv.app.figures import confusion; confusion.draw(run.report)`. Each file knows what it draws and
nothing of where the numbers come from; inks and fonts are shared (`_sheet`).
"""
