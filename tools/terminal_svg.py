#!/usr/bin/env python3
"""Draw terminal output as an SVG picture.

usage: some-command 2>&1 | tools/terminal_svg.py '$ some-command' >picture.svg

The first argument is shown as what was typed. Lines are wrapped at 88 columns; lines in [brackets] are dimmed.
"""
import sys
import textwrap
from xml.sax.saxutils import escape

COLUMNS, LINE, CHARACTER, MARGIN = 88, 18, 8.0, 16

lines = [sys.argv[1]] if len(sys.argv) > 1 else []
for line in sys.stdin.read().splitlines():
    lines += textwrap.wrap(line, COLUMNS) or [""]
width, height = int(COLUMNS * CHARACTER + 2 * MARGIN), len(lines) * LINE + 2 * MARGIN
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">')
print(f'<rect width="{width}" height="{height}" rx="8" fill="#1c1f26"/>')
print('<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13" fill="#e6e6e6">')
dim = False
for i, line in enumerate(lines):
    dim = dim or line.startswith("[")
    fill = ' fill="#7fd17f"' if i == 0 and line.startswith("$") else ' fill="#8a909c"' if dim else ""
    print(f'<text x="{MARGIN}" y="{MARGIN + 13 + i * LINE}" xml:space="preserve"{fill}>{escape(line)}</text>')
print("</g>\n</svg>")
