#!/usr/bin/env python3
"""Turns the files of web/ into one C source: a table of struct web_file (src/server/web_files.h).

    tools/embed.py OUTPUT.c FILE…

Comments and indentation are left out of scripts and style sheets: a sixth of their bytes. The
output depends on the files' names and bytes alone."""

import hashlib
import os
import re
import sys

TYPES = {
    '.css': 'text/css; charset=utf-8',
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
}
ALIASES = {'index.html': ['/'], 'status.html': ['/status']}


def slim(name, text):
    """Without what only readers of the source need. Leaves alone what it is not sure of."""
    if name.endswith('.css'):
        text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
        return re.sub(r'([:,])\s+', r'\1', re.sub(r'\s*([{};])\s*', r'\1', text)).strip() + '\n'
    elif name.endswith('.js'):
        code = re.sub(r'^[ \t]*(/\*\*.*?\*/[ \t]*|//[^\n]*)$', '', text, flags=re.S | re.M)
        # After a statement; never where a quote follows, as it might close a text that has the slashes in it.
        code = re.sub(r'(?<=[;,{}]) +// [^\'"`\n]*$', '', code, flags=re.M)
        if any(line.count('`') % 2 for line in code.split('\n')):
            return text  # a text over several lines, whose indentation counts
        text = code
    return ''.join(line.strip() + '\n' for line in text.split('\n') if line.strip())


def main():
    output, names = sys.argv[1], sys.argv[2:]
    arrays, rows = [], []
    for number, path in enumerate(sorted(names, key=os.path.basename)):
        name = os.path.basename(path)
        with open(path, encoding='utf-8') as file:
            data = slim(name, file.read()).encode()
        lines = [','.join(map(str, data[at:at + 64])) for at in range(0, len(data), 64)]
        arrays.append('static const unsigned char file_%d[] = { // %s\n%s\n};\n' % (number, name, ',\n'.join(lines)))
        etag = '\\"%s\\"' % hashlib.sha256(data).hexdigest()[:16]
        for address in ['/' + name] + ALIASES.get(name, []):
            row = '    { "%s", "%s", "%s", file_%d, sizeof file_%d },\n'
            rows.append((address, row % (address, TYPES[os.path.splitext(name)[1]], etag, number, number)))
    with open(output, 'w', encoding='utf-8') as file:
        file.write('// Made by tools/embed.py from web/.\n#include "server/web_files.h"\n\n')
        file.write('\n'.join(arrays))
        file.write('\nconst struct web_file web_files[] = {\n%s};\n' % ''.join(row for _, row in sorted(rows)))
        file.write('const size_t n_web_files = sizeof web_files / sizeof *web_files;\n')


if __name__ == '__main__':
    main()
