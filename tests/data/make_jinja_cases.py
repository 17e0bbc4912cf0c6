#!/usr/bin/env python3
"""Writes jinja_cases.json: small templates and what Jinja2 makes of them, in the set-up that chat templates get.

Needs the package Jinja2 (3.1). Run it in this folder after adding a case; the test reads only the JSON.
"""
import datetime
import json

import jinja2
from jinja2 import nodes
from jinja2.exceptions import TemplateError, UndefinedError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 1, 15, 12, 0, 0)

INPUTS = {
    "s": "Hello, World",
    "empty": "",
    "text": "one two  three\nfour\n\nfive",
    "html": "<b>bold</b> & \"quoted\" 'text'",
    "uni": "Grüße, мир! 你好 🙂 ßx",
    "n": 7,
    "neg": -7,
    "zero": 0,
    "x": 2.5,
    "big": 9007199254740993,
    "yes": True,
    "no": False,
    "nothing": None,
    "xs": [3, 1, 2],
    "words": ["banana", "Apple", "cherry", "apple"],
    "mixed": [1, "a", None, 2.0, True, [1, 2], {"k": "v"}],
    "d": {"b": 1, "a": 2, "C": 3},
    "nested": {"list": [{"x": 1}, {"x": 2}], "items": "shadow", "_x": 5, "0": "zero"},
    "users": [
        {"name": "ann", "age": 31, "tags": ["x", "y"], "admin": True},
        {"name": "Bob", "age": 25, "tags": [], "admin": False},
        {"name": "cid", "age": 31, "tags": ["y"]},
    ],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!", "tool_calls": [{"name": "f", "arguments": {"a": 1, "b": [True, None]}}]},
    ],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
}


class Generation(Extension):
    """The tag that marks what a model says."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise TemplateError(message)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: NOW.strftime(form)
    return env


# Expressions: each becomes {{ ... }}.
EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
2 ** 3 ** 2
-2 ** 2
-n
+n
- - n
7 // 2
-7 // 2
7 // -2
7 % 3
-7 % 3
7 % -3
-7 % -3
7 / 2
6 / 2
7.5 // 2
-7.5 // 2
7.5 % 2
-7.5 % 2
7.5 % -2
5.0 % 5
2 ** -1
2 ** 0.5
0 ** 0
1e3
1.5e-7
1_000_000
0x1F
0b101
0o17
1.0
100000000000000000.0
1e16
1e15
123456789012345678
0.1 + 0.2
1e22
1e-5
0.0001
1.5
-0.0
3.14159265358979
1 / 3
2.5 * 2
x + n
x - n
x * n
yes + 1
yes * 3
no + no
1 == 1.0
1 == yes
'1' == 1
'a' < 'b'
'a' < 'B'
1 < 2 < 3
1 < 3 < 2
3 > 2 > 1
1 < 2 == 2
[1, 2] < [1, 3]
[1, 2] == [1, 2]
(1, 2) == [1, 2]
(1, 2) < (1, 2, 3)
{'a': 1} == {'a': 1.0}
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
none == none
none == false
undefined_a == undefined_b
n != 7
not n
not empty
not not n
n and s
empty and s
empty or 'x'
nothing or zero or 'last'
n or boom
yes and no or 'z'
not yes and no
1 if yes else 2
1 if no else 2
1 if no
(1 if no) is defined
'a' if n > 5 else 'b' if n > 3 else 'c'
'x' ~ 1 ~ none ~ 2.0 ~ true
'1' ~ 2 ~ 3 * 4
'a' ~ 'b' * 2
'a' * 3
3 * 'ab'
'a' * 0
'a' * -1
[1] * 3
(1, 2) * 2
[1] + [2, 3]
(1,) + (2,)
'a' + 'b'
'a' 'b' "c"
1 in xs
9 in xs
9 not in xs
not 1 in xs
'lo' in s
'zz' not in s
'a' in d
'z' in d
1 in (1, 2)
2.0 in xs
none in [none]
'a' in 'abc' and 'b' in 'abc'
'' in 'abc'
3 in range(5)
7 in range(0, 10, 2)
8 in range(10, 0, -2)
'x' in undefined_a
xs[0]
xs[-1]
xs[5]
xs[5] is defined
xs['0']
xs.0
nested.list[1].x
nested['list'][0]['x']
nested.list.1.x
nested.items is callable
nested['items']
nested._x
nested.get('0')
nested['0']
d.b
d['b']
d.missing
d.missing is undefined
d.get('b')
d.get('z')
d.get('z', 'dflt')
d[1]
d[[1]]
s[0]
s[-1]
s[99]
uni[0:5]
uni[-2:]
uni[7]
uni|length
uni[::-1]
s[1:4]
s[:4]
s[4:]
s[:]
s[-5:]
s[:-7]
s[::2]
s[::-1]
s[10:2:-3]
s[5:2]
s[100:]
s[-100:3]
xs[1:]
xs[::-1]
xs[:-1]
xs[-2:]
xs[0:10:2]
(1, 2, 3)[1:]
range(10)[2:5]
range(10)[::3]|list
range(10)[-1]
messages[1:]|map(attribute='role')|list
messages[0].content
messages[-1].tool_calls[0].arguments.b[0]
messages[-1]['tool_calls'][0]['name']
n.real
s.missing
s['upper']()
s.upper()
xs.append
xs.append is defined
d.pop is defined
s.__class__ is defined
s.__class__
[]
[1, 'two', 3.0, none, true]
{}
{'a': 1, 'b': [1, 2], 3: none}
{'k': {'n': "it's"}}
()
(1,)
(1, 2)
[(1, 'a'), {'x': (2,)}]
["it's", 'say "x"', 'both \' and "']
['tab\tnl\nbs\\']
['é', '\u200b', '\x00', '\x7f', '🙂', '\u00a0']
mixed
none
true
True
false
None
'\x41\u00e9\n\t\\\'\"'
'\101\q'
'a\
b'
"line\nbreak"
range(5)
range(1, 10, 3)
range(5)|list
range(5, 0, -2)|list
range(0)|list
range(3)|length
dict(a=1, b=2)
dict([('a', 1), ('b', 2)], c=3)
dict({'a': 1}, a=2)
namespace(a=1).a
namespace(a=1).b
namespace({'q': 5}).q
namespace(a=1)
d.keys()
d.values()
d.items()
d.items()|list
d|items|list
undefined_a|items|list
undefined_a
undefined_a is defined
undefined_a|default('dd')
undefined_a|d('dd')
undefined_a|d
nothing|default('dd')
nothing|default('dd', true)
''|default('dd', boolean=true)
d.zz|default('dd')
[undefined_a]
undefined_a ~ 'x'
undefined_a|length
undefined_a|list
undefined_a|string
undefined_a or 'x'
not undefined_a
n is defined
n is number
x is number
yes is number
s is number
n is integer
yes is integer
x is integer
x is float
n is float
yes is boolean
n is boolean
yes is true
n is true
no is false
zero is false
nothing is none
n is none
s is string
n is string
d is mapping
xs is mapping
xs is iterable
n is iterable
s is iterable
undefined_a is iterable
xs is sequence
d is sequence
s is sequence
n is sequence
d.keys() is sequence
range(3) is sequence
xs|map('string') is sequence
range is callable
s.upper is callable
s is callable
4 is even
3 is odd
3 is even
9 is divisibleby 3
9 is divisibleby(4)
3 is eq 3
3 is equalto 4
3 is ne 4
3 is lt 4
3 is lessthan(2)
3 is le 3
3 is gt 2
3 is greaterthan 5
3 is ge 4
3 is in [1, 3]
3 is not in [1, 3]
'a' is in 'abc'
none is sameas none
xs is sameas xs
1 is sameas true
'ABC' is upper
'Abc' is upper
'abc' is lower
'1' is lower
'upper' is filter
'nope' is filter
'odd' is test
n is not none
n is not string and x is float
(html|safe) is escaped
html is escaped
n is odd or boom
s|upper
s|lower
uni|upper
uni|lower
uni|title
uni|capitalize
'hello wORLD foo-bar (baz) [qux] {x} <y>'|title
'ΑΣ ΣΑΣ'|lower
'ŉ ŒUVRE İ'|lower
'hELLO'|capitalize
'  x y \n'|trim
'xxhixx'|trim('x')
'abcHIcba'|trim('abc')
text|replace('\n', '|')
'aaa'|replace('a', 'b', 2)
'abc'|replace('', '-')
'abc'|replace('', '-', 2)
'a1b1'|replace(1, 2)
'x'|center(10) ~ '|'
'xy'|center(5) ~ '|'
text|indent
text|indent(2)
text|indent(2, true)
text|indent(2, first=true, blank=true)
text|indent('> ')
'a\n'|indent
''|indent
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'foo bar baz qux'|truncate(9, end='~', leeway=0)
'foobarbazqux'|truncate(6, leeway=0)
text|wordcount
uni|wordcount
''|wordcount
'The quick brown fox jumps over the lazy dog'|wordwrap(10)
'a-very-long-hyphenated-word here'|wordwrap(8)
'supercalifragilistic word'|wordwrap(6)
'supercalifragilistic word'|wordwrap(6, false)
'a  b   c     d'|wordwrap(4)
'para one is here\n\npara two'|wordwrap(8, wrapstring='|')
'wait--what is this--thing'|wordwrap(7)
'  leading spaces kept'|wordwrap(8)
'foo-bar-baz x-y'|wordwrap(5, break_on_hyphens=false)
'%s-%d-%05.2f'|format('a', 3, 2.5)
'%(a)s %(b)03d'|format(a='x', b=7)
'%5s|%-5s|%+d|% d|%x|%X|%o|%e|%g|%%' % ('a', 'b', 3, 4, 255, 255, 8, 12345.678, 0.0001)
'%s' % 'one'
'%s' % [1, 2]
'%s %s' % (1, none)
'%r' % 'q'
'%c' % 'z'
'%.2s' % 'abc'
'%5.1f|%-8.3f|%08.2f' % (1.25, 2.5, -3.14159)
'%i %u' % (3.7, 4)
'%#x %#o' % (255, 8)
'%.3d' % 5
'%*d' % (5, 42)
'%(b)s' % d
'{} {}'.format(1, 'a')
'{0} {1} {0}'.format('a', 'b')
'{x} {y.name}'.format(x=1, y=users[0])
'{a[0]} {a[1]}'.format(a=xs)
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:05d} {:+d} {: d} {:x} {:#x} {:b} {:o} {:X}'.format(42, 42, 42, 255, 255, 5, 8, 255)
'{:.2f} {:8.3f} {:e} {:g} {:%} {:.1%}'.format(3.14159, 2.5, 12345.6789, 0.00001234, 0.5, 0.123)
'{:,} {:_} {:,.2f}'.format(1234567, 1234567, 1234567.891)
'{:.3}'.format('abcdef')
'{!r} {!s}'.format('q', 'q')
'{{}} {}'.format(1)
'{:{}}'.format('a', 5) ~ '|'
'{}'.format(2.0)
'{:5}|{:<5}|{:>5}'.format(1, 2, 'x')
'{:010.2f}|{:=+8d}'.format(-3.14159, 42)
'{}'.format(none) ~ '{}'.format([1])
'{:.3}'.format(3.14159)
'{:g} {:g} {:g}'.format(1e10, 100000, 1234567)
'{:d}'.format(true)
'{a}'.format_map({'a': 1})
xs|join
xs|join(', ')
users|join(', ', attribute='name')
users|join(attribute='age')
s|join('-')
d|join(',')
[]|join(',')
[1, none, true]|join('|')
xs|first
xs|last
[]|first
[]|last
s|first
d|first
xs|length
xs|count
d|length
s|length
xs|sort
xs|sort(reverse=true)
words|sort
words|sort(case_sensitive=true)
words|sort(true, true)
users|sort(attribute='age')|map(attribute='name')|join(',')
users|sort(attribute='age,name', reverse=true)|map(attribute='name')|join(',')
users|sort(attribute='name')|map(attribute='name')|list
words|unique|list
words|unique(true)|list
users|unique(attribute='age')|map(attribute='name')|list
xs|min
xs|max
words|min
words|max
[]|max
users|max(attribute='age')
users|min(attribute='age')
xs|sum
users|sum(attribute='age')
xs|sum(start=10)
[]|sum
[1.5, 2]|sum
[[1], [2]]|sum(start=[])
xs|reverse|list
s|reverse
(1, 2)|reverse|list
xs|list
s|list
d|list
(1, 2)|list
range(7)|batch(3)|list
range(7)|batch(3, 'x')|list
range(7)|slice(3)|list
range(7)|slice(3, 'x')|list
range(2)|slice(3)|list
d|dictsort
d|dictsort(true)
d|dictsort(false, 'value')
d|dictsort(by='value', reverse=true)
users|groupby('age')|list
users|map(attribute='name')|list
users|map(attribute='admin', default='?')|list
users|map(attribute='tags.0', default='-')|list
words|map('upper')|list
words|map('replace', 'a', 'o')|list
words|map('default', 'x')|join
xs|map('string')|map('center', 3)|join('|')
[]|map('nope')|list
nothing|map('upper')|list
users|selectattr('admin')|map(attribute='name')|list
users|selectattr('age', 'equalto', 31)|map(attribute='name')|list
users|selectattr('age', '>', 30)|list|length
users|rejectattr('admin')|map(attribute='name')|list
users|rejectattr('age', 'in', [25])|map(attribute='name')|list
users|selectattr('admin', 'defined')|list|length
users|selectattr('tags')|map(attribute='name')|list
messages|selectattr('role', 'ne', 'system')|map(attribute='role')|list
xs|select('odd')|list
xs|select|list
mixed|select('string')|list
xs|reject('odd')|list
xs|select('divisibleby', 3)|list
xs|select('>', 1)|list
mixed|reject('none')|list|length
'42'|int
'4x2'|int
'4x2'|int(9)
'3.9'|int
3.9|int
-3.9|int
'0x1f'|int(0, 16)
'1f'|int(base=16)
' 12 '|int
'1_000'|int
nothing|int
true|int
[]|int(5)
'3.5'|float
'x'|float
'x'|float(1.5)
7|float
'1e3'|float
'inf'|float
'-inf'|float
'nan'|float
' 2.5 '|float
42|string
[1]|string
none|string
-5|abs
-5.5|abs
true|abs
2.5|round
3.5|round
2.567|round(2)
2.567|round(1, 'floor')
2.541|round(1, 'ceil')
42|round
42|round(1)
1234|round(-2)
1250|round(-2)
1234.5|round(-2)
-2.5|round
42.7|round|int
2.675|round(2)
html|escape
html|e
html|safe
html|safe|e
html|e|e
html|forceescape
(html|safe)|forceescape
('<b>'|safe) + '<i>'
'<i>' + ('<b>'|safe)
('<b>'|safe) ~ '<i>'
[html|safe]
html|striptags
'<p>a <!-- c --> b</p>\n  &lt;x&gt; &#65;&#x42;'|striptags
'a b/c?d=é&f'|urlencode
{'a': 'x y', 'b/': 1}|urlencode
[('k', 'v&w')]|urlencode
{'class': 'a<b', 'n': none, 'id': 3}|xmlattr
1|filesizeformat
999|filesizeformat
1500|filesizeformat
1500000|filesizeformat
1536|filesizeformat(true)
'12345678'|filesizeformat
d|attr('keys') is callable
s|attr('upper')
users[0]|attr('name') is defined
messages|tojson
d|tojson
mixed|tojson
uni|tojson
uni|tojson(ensure_ascii=true)
html|tojson
'\x00\x1f\b\f\n\r\t"\\/\x7f\u2028'|tojson
d|tojson(indent=2)
messages|tojson(indent=4)
{'a': [], 'b': {}, 'c': [1, [2]]}|tojson(indent=2)
d|tojson(indent=0)
d|tojson(indent='--')
d|tojson(sort_keys=true)
d|tojson(separators=(',', ':'))
d|tojson(indent=1, separators=(',', ': '))
{1: 'a', none: 'b', true: 'c', 1.5: 'd'}|tojson
(1, 2)|tojson
[1e3, 1.5, 1e22, -0.0, 1e-7, 1e16]|tojson
['inf'|float, 'nan'|float]|tojson
none|tojson
true|tojson
xs|pprint
d|pprint
users|pprint
{'z': 1, 'a': {'long key number one': 'some long value here', 'long key number two': [1, 2, 3]}, 'm': 'abcdefghijklmnopqrstuvwxyz'}|pprint
'a,b,c'.split(',')
'a,b,c'.split(',', 1)
' a  b c '.split()
' a  b c '.split(none, 1)
' a  b c '.split(maxsplit=1)
''.split()
''.split(',')
'a,b,c'.rsplit(',', 1)
' a  b c '.rsplit(none, 1)
'a--b--c'.split('--')
'aXbXc'.split(sep='X')
'你好,世界'.split(',')
'  x '.strip()
'  x '.lstrip() ~ '|'
'  x '.rstrip() ~ '|'
'xyhixy'.strip('xy')
'xyhixy'.lstrip('yx')
'xyhixy'.rstrip('yx')
'éaé'.strip('é')
'abc'.startswith('ab')
'abc'.startswith(('x', 'a'))
'abc'.startswith('b', 1)
'abc'.startswith('')
'abc'.startswith('', 3)
'abc'.startswith('', 4)
'abc'.endswith('bc')
'abc'.endswith(('x', 'c'))
'abc'.endswith('b', 0, 2)
'abc'.upper()
'ABC'.lower()
"they're bill's friends".title()
'hello WORLD'.capitalize()
'Hello'.swapcase()
'Straße'.casefold()
'Straße'.upper()
'aXbX'.replace('X', '-')
'aXbX'.replace('X', '-', 1)
'abcabc'.find('c')
'abcabc'.find('z')
'abcabc'.find('c', 3)
'abcabc'.find('c', 3, 5)
'abcabc'.rfind('b')
'абвабв'.find('в')
'абвабв'.rfind('в')
'abc'.index('c')
'abcabc'.rindex('a')
'banana'.count('a')
'banana'.count('ana')
'banana'.count('')
'banana'.count('a', 2)
', '.join(['a', 'b'])
''.join([])
'-'.join('abc')
'a\nb\r\nc\rd\x0be\u2028f'.splitlines()
'a\n\nb\n'.splitlines(true)
''.splitlines()
'123'.isdigit()
'²'.isdigit()
'½'.isnumeric()
'²'.isdecimal()
'१२'.isdigit()
'abc'.isalpha()
'äß'.isalpha()
'ab1'.isalnum()
''.isalpha()
'  \t'.isspace()
'ABC1'.isupper()
'abc1'.islower()
'Hello World'.istitle()
'Hello world'.istitle()
'a_1'.isidentifier()
'1a'.isidentifier()
'é'.isascii()
''.isascii()
'a\n'.isprintable()
'prefix-x'.removeprefix('prefix-')
'x.py'.removesuffix('.py')
'x'.removesuffix('')
'7'.zfill(3)
'-7'.zfill(4)
'a'.ljust(3) ~ '|'
'a'.rjust(3, '*')
'a'.center(4, '*')
'ab'.center(5, '*')
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('=')
'abc'.rpartition('=')
'a\tb'.expandtabs(4)
xs.index(1)
xs.count(1)
(1, 2, 1).count(1)
xs.copy()
d.copy()
d.items()|sort|first
d.keys()|list
d.values()|sum
d.keys() == {'b': 0, 'a': 0, 'C': 0}.keys()
range(4)[2:1]
[none, none]|sort
[{}, {}]|sort(attribute='x')|list|length
'abc' % range(3)
messages|pprint
strftime_now('%Y-%m-%d %H:%M:%S')
strftime_now('%d %b %Y, %A %B %a %j %p %I %y %U %W %w %u %V %G %% %e')
strftime_now('%-d/%-m %F %T %D %R %c %x %X')
range(3)|map('string')|join
(users|selectattr('admin')|first).name
xs|map('string')|join('+') ~ '=' ~ xs|sum
(xs|length) > 2 and xs[0] == 3
xs|length > 2
n|string|length
-n|abs
'a'|upper ~ 'b'|upper
not xs|length == 3
n + xs|length
[1, 2, 3,]
{'a': 1,}
(1, 2,)
xs[n - 8]
users[0]['na' ~ 'me']
users[0].name.upper()
users[0].name|upper|lower
'a' if users[0].admin is defined and users[0].admin else 'b'
{'a': 1}.a
[1, 2][1]
'abc'[1]
(1, 2).0
s is string and s is not mapping
n is divisibleby 7 and yes
xs is iterable and xs is not string
cycler('a', 'b').next()
[1, 2] is sameas [1, 2]
lipsum is callable
big
big + 1
1.0 * big
1e400
2 in [1, 2.0]
true in [1]
[1, 2] in [[1, 2]]
'a' not in ['b'] and true
none is none and not (none is defined and false)
(s, n)[0]
d['b'] ~ d.a
undefined_a == none
undefined_a is none
undefined_a in [1]
s|default('x')|upper
[3, 1]|sort|first
{'b': 1}|dictsort|first|first
{'x': {'y': [1, {'z': 'deep'}]}}.x.y[1].z
" " ~ "\\n" ~ ' '
"a" == 'a'
5 // 0.3
7 // 2.0
-1 // 3
1 - 1 - 1
8 / 2 / 2
2 * 3 % 4
10 - 2 * 3
'%d%%' % 50
'%s' % (xs,)
'%s' % ('t',)
'%s' % d
'%s' % none
"{'a': 1}"
"{{ not }}"
'{%'
"}}"
""".strip("\n").split("\n")

# Expressions that fail, at least in the sandbox.
FAILING = r"""
undefined_a.x
undefined_a['x']
undefined_a()
undefined_a + 1
1 + undefined_a
undefined_a < 1
-undefined_a
d.missing.deeper
nothing.x.y
xs[9].z
users[2].admin.x
s.nope()
d.nope()
1 + 'a'
'a' + 1
'a' - 'b'
[1] + (1,)
1 / 0
1 // 0
1 % 0
1.0 / 0
'a' < 1
none < 1
[1] < [none]
{} < {}
xs|sort(attribute='x')|first|nope
s|nope
s is nope
nothing|list
n|list
n|length
nothing|length
xs|map('string')|length
n|first
1 in 5
1 in 'abc'
none in none
[] in {}
{[1]: 2}
{{}: 2}
d[[1]].x
s[::0]
nothing[1:]
d[1:2]
xs|sort(reverse='x')
d|attr(1)
s['a':]
xs.append(1)
xs.pop()
xs.sort()
d.update({'a': 1})
d.pop('a')
d.setdefault('q', 1)
d.clear()
s.__class__.__mro__
s.__class__()
xs.__len__()
raise_exception('stop here: ' ~ n)
range(100001)
range(0, 1000000, 2)
range(1, 2, 0)
range()
range('a')
namespace(1)
dict(1)
dict([1])
'abc'.index('z')
xs.index(99)
'a'.split('')
','.join([1])
'a'.startswith(1)
'a'.startswith(['a'])
'%d' % 'a'
'%s %s' % 'a'
'%s' % ('a', 'b')
'%z' % 1
'%' % 1
'%(q)s' % d
'{}'.format()
'{x}'.format()
'{'.format(1)
'}'.format(1)
'{:q}'.format(1)
'{0} {}'.format(1, 2)
'a'|round
'a'|abs
2.5|round(1, 'nope')
[1, 'a']|sort
[1, none]|max
['a']|sum
d|dictsort(by='nope')
n|dictsort
undefined_a|dictsort
undefined_a|tojson
{(1, 2): 3}|tojson
range(3)|tojson
range|tojson
{'a': undefined_a}|tojson
xs|map('string')|tojson
'abc'|truncate(2)
'abc'|wordwrap(0)
xs|batch
users|map(attribute='x', foo=1)|list
xs|map('nope')|list
xs|select('nope')|list
xs|join(1, 2, 3)
xs|join(nope=1)
xs|first(1)
xs|replace
n is divisibleby 0
n is divisibleby
n is eq
s is odd
range(3)|last.x
cycler()
s()
n()
{'a': 1}()
undefined_a is divisibleby 2
strftime_now(1)
strftime_now()
xs|indent
2 ** 'a'
{} + {}
-'a'
-none
+'a'
'a' * 'b'
'a' * 1.5
(1, 2)|groupby('x')|first|nope
undefined_a|int
undefined_a|float
undefined_a|abs
undefined_a|round
nothing()
none.x()
x.y.z
'{0.__class__}'.format(1) ~ ('a'.__class__.x)
""".strip("\n").split("\n")

# Whole templates.
TEMPLATES = [
    # White space around tags.
    "a\n{% if yes %}\nb\n{% endif %}\nc\n",
    "a\n   {% if yes %}   \nb\n   {% endif %}\nc",
    "a {% if yes %} b {% endif %} c",
    "a\n  {%- if yes -%}\n  b  \n{%- endif %}\n\nc",
    "a\n  {%+ if yes +%}\n  b\n  {%+ endif %}\nc",
    "a\n  {{ n }}  \nb\n",
    "a  {{- n -}}  b",
    "a\n\n{{- n -}}\n\nb",
    "  {# comment #}  \nx",
    "  {# comment #}\nx",
    "a {#- comment -#} b",
    "a\n  {#+ c +#}\nb",
    "{# multi\nline #}\nx",
    "{# a #}{# b #}\nx",
    "x\n",
    "x\n\n",
    "x\r\ny\r{{ n }}\r\n",
    "\n\n{% if yes %}\n\nx\n\n{% endif %}\n\n",
    "  {% set a = 1 %}  {% set b = 2 %}\n{{ a }}{{ b }}",
    "{% if yes %}a{% endif %}\n  {% if yes %}b{% endif %}\n",
    "{%if yes%}x{%endif%}",
    "{%-if yes-%} x {%-endif-%}",
    "{{-1}}",
    "{{ -1 }}",
    "a\t{% if yes %}x{% endif %}",
    "\t {% if yes %}x\n\t {% endif %}y",
    "{{ n }}\n{{ n }}\n",
    "{{ n }}{% if yes %}\n{% endif %}x",
    "{% raw %}{{ n }} {% if %}{% endraw %}",
    "a\n  {% raw %}\n  {{ n }}\n  {% endraw %}\nb",
    "a {%- raw -%} {{ n }} {%- endraw -%} b",
    "{% raw %}{% endraw %}x",
    "{{ '%}' }}{{ '}}' }}{% if '%}' %}y{% endif %}",
    "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{{ {'a': {}} }}",
    "a{{ '' }}\n{{ '' }}b",
    "x\u00a0{%- if yes %}y{% endif %}",
    "x \u2003{%- if yes %}y{% endif %}",
    "\u00a0{% if yes %}y{% endif %}",
    # if
    "{% if no %}a{% elif n == 7 %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif no %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif no %}b{% endif %}|",
    "{% if undefined_a %}a{% else %}b{% endif %}",
    "{% if xs and d and s %}a{% endif %}{% if not empty %}b{% endif %}",
    "{% if (n > 3) %}big{% endif %}",
    "{% if n, %}t{% endif %}",
    "{% if yes: %}x{% endif %}",
    # for
    "{% for i in xs %}{{ i }},{% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in xs if i > 5 %}x{% else %}none{% endfor %}",
    "{% for i in xs %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.depth }}/{{ loop.depth0 }};{% endfor %}",
    "{% for i in xs %}{{ loop.previtem|default('-') }}<{{ i }}>{{ loop.nextitem|default('-') }} {% endfor %}",
    "{% for i in xs %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }} {% endfor %}",
    "{% for i in [1, 1, 2] %}{% if loop.changed(i, 1) %}{{ i }}{% endif %}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}",
    "{% for c in uni %}[{{ c }}]{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for u in users if u.age > 30 %}{{ loop.index }}{{ u.name }}{{ loop.last }} {% endfor %}",
    "{% for u in users if u.age > 30 %}{{ loop.length }}{% endfor %}",
    "{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 6 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% for i in xs %}{% for j in xs %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for i in xs %}{% set outer = loop %}{% for j in [1] %}{{ outer.index }}{% endfor %}{% endfor %}",
    "{% for t in tree recursive %}{{ t.v }}{{ loop.depth }}{% if t.c %}({{ loop(t.c) }}){% endif %}{% endfor %}",
    "{% for i in undefined_a %}x{% else %}e{% endfor %}",
    "{% for i in 5 %}x{% endfor %}",
    "{% for i in none %}x{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}x{% endfor %}",
    "{% for a, b in [(1,)] %}x{% endfor %}",
    "{% for a, b in [1] %}x{% endfor %}",
    "{% for x in xs %}{{ x }}{% endfor %}{{ x }}",
    "{% for i in xs %}{% endfor %}{{ i is defined }}{{ loop is defined }}",
    "{% for m in messages %}{{ '<' ~ m.role ~ '>' }}{% if not loop.last %}|{% endif %}{% endfor %}",
    "{% for i in xs recursive %}{{ i }}{% endfor %}",
    "{% for i in xs %}{{ loop(xs) }}{% endfor %}",
    "{% for i in 1, 2 %}{{ i }}{% endfor %}",
    "{% for i in (xs if yes else []) %}{{ i }}{% endfor %}",
    "{% for i in xs|sort %}{{ i }}{% endfor %}",
    "{% for i in xs %}{{ i }}{% if loop.first %}{% continue %}{% endif %}!{% else %}e{% endfor %}",
    "{% set ns = namespace(stop=false) %}{% for i in range(5) if not ns.stop %}{{ i }}{% if i == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}",
    "{% set ns = namespace(stop=false) %}{% for i in range(5) if not ns.stop %}{{ i }}{{ loop.last }}{% if i == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}",
    "{% for i in xs %}{{ i }}{% break %}{% else %}e{% endfor %}",
    "{% for i in xs %}{{ i }}{% continue %}{% else %}e{% endfor %}",
    "{% for i in xs %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% else %}e{% endfor %}",
    "{% break %}",
    "{% continue %}",
    "{% for i in xs %}{{ loop }} {% endfor %}",
    "{% for i in xs %}{{ loop.nope }}{% endfor %}|",
    "{% for group in users|groupby('age') %}{{ group.grouper }}:{{ group.list|map(attribute='name')|join(',') }} {% endfor %}",
    "{% for age, us in users|groupby('age') %}{{ age }}:{{ us|length }} {% endfor %}",
    "{% for u, list in users|groupby('admin', default=false) %}{{ u }}:{{ list|length }} {% endfor %}",
    "{% for w, l in words|groupby(0) %}{{ w }}{{ l }} {% endfor %}",
    # set, scopes, namespaces
    "{% set a = 1 %}{{ a }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = [3, 4] %}{{ a }}{{ b }}",
    "{% set (a, b) = (1, 2) %}{{ a }}{{ b }}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set a, b = 1 %}",
    "{% set a = 1 %}{% for i in xs %}{% set a = i %}{% endfor %}{{ a }}",
    "{% for i in xs %}{{ a|default('u') }}{% set a = i %}{{ a }} {% endfor %}",
    "{% set a = 1 %}{% if yes %}{% set a = 2 %}{% endif %}{{ a }}",
    "{% if no %}{% set n = 2 %}{% endif %}{{ n }}",
    "{% set n = n + 1 %}{{ n }}",
    "{% set ns = namespace(c=0) %}{% for i in xs %}{% set ns.c = ns.c + i %}{% endfor %}{{ ns.c }}",
    "{% set ns = namespace() %}{% set ns.x = [] %}{% for i in xs %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(a=1) %}{{ ns['a'] }}",
    "{% set ns = namespace(a=1) %}{% set ns.a, b = 5, 6 %}{{ ns.a }}{{ b }}",
    "{% set d.x = 1 %}",
    "{% set q.x = 1 %}",
    "{% set a %}x{{ n }}y{% endset %}[{{ a }}]",
    "{% set a | upper %}x{{ n }}y{% endset %}[{{ a }}]",
    "{% set a | upper | replace('X', 'Q') %}x{% endset %}[{{ a }}]",
    "{% set a %}  \n x {% endset %}[{{ a }}]",
    "{% set a %}{% set b = 1 %}{% endset %}{{ b is defined }}",
    "{% set a = [] %}{% set a = a + [1] %}{{ a }}",
    "{% set x = undefined_a %}{{ x is defined }}",
    "{% set loop = 1 %}{% for i in [1] %}{{ loop.index }}{% endfor %}",
    "{% set true = 1 %}",
    "{% set a = %}",
    "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z is defined }}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% with a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{% endwith %}",
    "{% with a, b = (1, 2) %}{{ a }}{% endwith %}",
    # macros
    "{% macro m(a, b=2) %}{{ a }}-{{ b }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=4, a=5) }}",
    "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}",
    "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2) }}{{ m(*[1, 2, 3]) }}",
    "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(**{'a': 1, 'b': 2}) }}{{ m(1, **{'b': 3}) }}",
    "{% macro m(a) %}x{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}x{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}x{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}x{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}",
    "{% macro m(a, b=1) %}x{% endmacro %}{{ m.arguments }}{{ m }}",
    "{% macro m() %}{{ n }}{{ late }}{% endmacro %}{% set late = 5 %}{{ m() }}",
    "{% macro m() %}{% set inner = 1 %}{{ inner }}{% endmacro %}{{ m() }}{{ inner is defined }}",
    "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro m() %}  x  {% endmacro %}[{{ m() }}][{{ m()|trim }}]",
    "{% macro m() -%}\n x\n{%- endmacro %}[{{ m() }}]",
    "{% macro m(x) %}{{ caller() }}{{ x }}{% endmacro %}{% call m(1) %}body{% endcall %}",
    "{% macro m() %}{{ caller(1, b=2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{{ n }}{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro a() %}A{{ caller() }}{% endmacro %}{% macro b() %}B{{ caller() }}{% endmacro %}{% call a() %}{% call b() %}x{% endcall %}{% endcall %}",
    "{% for i in xs %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m(a=[]) %}{{ a }}{% endmacro %}{{ m() }}{{ m([1]) }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(undefined_a) }}",
    "{% macro m(a=1) %}{{ a }}{% endmacro %}{{ m(none) }}|{{ m(undefined_a) }}",
    "{% macro m(a=1, b) %}{% endmacro %}",
    "{% macro m(x) %}{% for i in x %}{{ m(i) if i is iterable and i is not string else i }}{% endfor %}{% endmacro %}{{ m([1, [2, [3]]]) }}",
    "{% macro m(x) %}{{ x|upper }}{% endmacro %}{{ m('a') ~ m('b') }}{{ m('c')|lower }}",
    "{% macro m() %}{{ n }}{% endmacro %}{% set n = 99 %}{{ m() }}",
    "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}",
    "{% macro m(caller) %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}",
    # filter blocks, generation, autoescape, blocks, print
    "{% filter upper %}abc {{ n }} {{ s }}{% endfilter %}",
    "{% filter replace('a', 'b')|upper %}banana{% endfilter %}",
    "{% filter trim %}  x  {% endfilter %}|",
    "{% filter nope %}x{% endfilter %}",
    "{% generation %}a{{ n }}{% endgeneration %}b",
    "x\n{% generation %}\na\n{% endgeneration %}\nb",
    "{% autoescape false %}{{ html }}{% endautoescape %}",
    "{% block a %}x{{ n }}{% endblock %}{% block b %}y{% endblock b %}",
    "{% set q = 1 %}{% block a %}{{ q }}{% endblock %}",
    "{% for i in xs %}{% block a scoped %}{{ i }}{% endblock %}{% endfor %}",
    "{% print n, s %}",
    # joiner, cycler
    "{% set j = joiner() %}{% for i in xs %}{{ j() }}{{ i }}{% endfor %}",
    "{% set j = joiner('|') %}{{ j() }}a{{ j() }}b",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}",
    # generators are used up
    "{% set g = xs|map('string') %}{{ g|list }}{{ g|list }}",
    "{% set g = xs|select %}{{ g|first }}{{ g|list }}",
    "{% if []|select %}true{% endif %}",
    # templates that do not parse
    "{% if yes %}x",
    "{% for i in xs %}x",
    "{% endif %}",
    "{% if %}x{% endif %}",
    "{{ }}",
    "{{ n",
    "{% if yes ",
    "{# open",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ [1, 2 }}",
    "{{ {'a' 1} }}",
    "{{ 'abc }}",
    "{{ a b }}",
    "{{ 1 2 }}",
    "{{ n| }}",
    "{{ n is }}",
    "{{ n. }}",
    "{{ n.'a' }}",
    "{{ *n }}",
    "{{ n = 1 }}",
    "{{ $ }}",
    "{{ n ! }}",
    "{{ f(a=1, 2) }}",
    "{{ f(**d, 1) }}",
    "{{ n is string is defined }}",
    "{% unknown %}",
    "{% do xs %}",
    "{% raw %}x",
    "{% set 1 = 2 %}",
    "{% for 1 in xs %}{% endfor %}",
    "{% for i of xs %}{% endfor %}",
    "{% macro m %}{% endmacro %}",
    "{% call s %}{% endcall %}",
    "{% else %}",
    "{% if yes %}{% else %}{% elif no %}{% endif %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{{ a.b.c }}",
    "{{ 1.2.3 }}",
    "{{ '\\u12' }}",
    "{{ ~ }}",
    "{{ not }}",
    "{{ 1 if }}",
    "{{ x[ }}",
    "{% set ns.a.b = 1 %}",
    # errors that a template raises
    "{{ raise_exception('Conversation roles must alternate') }}",
    "{% if no %}{{ raise_exception('never') }}{% endif %}ok",
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no ' ~ m.role) }}{% endif %}{% endfor %}",
    "{{ functions|tojson }}",
    "{% for f in functions %}x{% endfor %}|{{ functions is defined }}",
    # the shapes of real templates
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] | trim + '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "{%- if messages[0]['role'] == 'system' -%}\n    {%- set system = messages[0]['content'] -%}\n    {%- set loop_messages = messages[1:] -%}\n{%- else -%}\n    {%- set loop_messages = messages -%}\n{%- endif -%}\n{{ system }}:{{ loop_messages|length }}",
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ loop.index0 }}{% endif %}{% endfor %}",
    "{% for m in messages if m.tool_calls is defined and m.tool_calls %}{{ m.tool_calls[0].arguments|tojson }}{% for k, v in m.tool_calls[0].arguments.items() %}\n<{{ k }}>{{ v if v is string else v|tojson }}</{{ k }}>{% endfor %}{% endfor %}",
    "{% set content = messages[1].content if messages[1].content is string else '' %}{{ content.split('</think>')[-1].lstrip('\\n') }}",
    "{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step and message.role == 'user' %}\n        {%- set ns.multi_step = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n{{- ns.last }}",
    "{% set m = messages|selectattr('role', 'equalto', 'user')|list %}{{ m[-1].content if m else 'none' }}",
    "{{ '\\n' if n > 1 }}{{ messages | map(attribute='role') | unique | join(',') }}",
]


def run(env, source):
    row = {"template": source}
    try:
        row["output"] = env.from_string(source).render(**json.loads(json.dumps(INPUTS)))
    except UndefinedError as error:
        row["says"] = str(error)
    except TemplateError as error:
        row["error"] = str(error)
        if type(error) is TemplateError:
            row["says"] = row.pop("error")
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {error}"
    return row


def main():
    env = environment()
    sources = ["{{ " + e + " }}" for e in "\n".join(EXPRESSIONS).replace("\\\n", "\0").split("\n")]
    sources = [s.replace("\0", "\\\n") for s in sources]
    failing = ["{{ " + e + " }}" for e in FAILING]
    rows = [run(env, s) for s in sources + failing + TEMPLATES]
    for row in rows[len(sources) : len(sources) + len(failing)]:
        if "output" in row:
            print("does not fail:", row)
    for row in rows[: len(sources)]:
        if "output" not in row:
            print("fails:", row)
    rows = [r for r in rows if " at 0x" not in r.get("output", "")]
    with open("jinja_cases.json", "w", encoding="utf-8") as f:
        f.write('{"jinja2": %s,\n"now": "2026-01-15T12:00:00",\n' % json.dumps(jinja2.__version__))
        f.write('"inputs": %s,\n"cases": [\n' % json.dumps(INPUTS, ensure_ascii=False))
        f.write(",\n".join(json.dumps(r, ensure_ascii=False) for r in rows))
        f.write("\n]}\n")
    print(len(rows), "cases")


if __name__ == "__main__":
    main()
