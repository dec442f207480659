"""Prints a table in Markdown that reads well as text, too."""


def show(rows):
    """`rows`: the cells of the header, then of each line; all but the first column are figures."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in [rows[0], ["-" * width for width in widths], *rows[1:]]:
        cells = [row[0].ljust(widths[0])] + [text.rjust(width) for text, width in zip(row[1:], widths[1:])]
        print("| " + " | ".join(cells) + " |")
