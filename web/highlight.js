// Colours code a little: comments, texts, numbers and key words, which look alike in most languages. One pass with one
// expression per family; what it does not know stays as it is.

const KEYWORDS = new Set((
  'abstract and as assert async await begin bool break case catch char class const continue def default defer del delete ' +
  'do done double elif else elsif end enum esac except export extends extern false fi final finally float fn for foreach ' +
  'from func function global goto if impl implements import in include inline instanceof int interface is lambda let ' +
  'local long loop match mod module mut namespace new nil none None not null nullptr of or package pass private ' +
  'protected pub public raise ref register require return self Self short signed sizeof static struct super switch ' +
  'template then this throw throws trait true True False try type typedef typename typeof undefined union unless unsafe ' +
  'unsigned until use using var virtual void volatile when where while with yield').split(' '));
const SQL = new Set((
  'select from where group by order having insert into values update set delete create table drop alter index join left ' +
  'right inner outer on as and or not null is in like between limit offset union all distinct case when then else end ' +
  'primary key foreign references default with begin commit').split(' '));

const TEXTS = String.raw`"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?`;
const NUMBER = String.raw`\b(?:0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)[a-zA-Z0-9]*`;
const WORD = String.raw`[A-Za-z_$][\w$]*`;

const expression = (comment, texts = TEXTS) =>
  new RegExp(`(?<comment>${comment})|(?<text>${texts})|(?<number>${NUMBER})|(?<word>${WORD})`, 'gm');

const C_LIKE = expression(String.raw`\/\/.*|\/\*[^]*?(?:\*\/|$(?![^]))`, TEXTS + String.raw`|\x60(?:[^\x60\\]|\\.)*\x60?`);
const HASH = expression(String.raw`(?<![^\s;])#.*`, String.raw`"""[^]*?(?:"""|$(?![^]))|'''[^]*?(?:'''|$(?![^]))|` + TEXTS);
const DASH = expression(String.raw`--.*`);

const FAMILIES = {};
for (const [family, names] of [
  [C_LIKE, 'c h cpp c++ cc cs csharp css dart go java javascript js json json5 jsonc jsx kotlin less objc php rust rs ' +
    'scala scss swift ts tsx typescript zig'],
  [HASH, 'bash sh shell zsh python py ruby rb perl pl r yaml yml toml ini make makefile dockerfile cmake meson nix ' +
    'julia elixir powershell ps1 conf'],
  [DASH, 'sql sqlite mysql postgresql plsql lua haskell hs ada vhdl'],
]) for (const name of names.split(' ')) FAMILIES[name] = family;

const MAX_LENGTH = 50_000;

/** Parts of the code in order: [{ kind: 'comment' | 'text' | 'number' | 'keyword' | '', text }]. */
export function highlight(code, language) {
  const name = language.toLowerCase();
  const family = FAMILIES[name];
  if (!family || code.length > MAX_LENGTH) return [{ kind: '', text: code }];
  const keywords = family === DASH && name.includes('sql') ? SQL : KEYWORDS;
  const parts = [];
  let plain = 0;
  const add = (kind, from, to) => {
    if (from > plain) parts.push({ kind: '', text: code.slice(plain, from) });
    parts.push({ kind, text: code.slice(from, to) });
    plain = to;
  };
  for (const match of code.matchAll(family)) {
    const { comment, text, number, word } = match.groups;
    const end = match.index + match[0].length;
    if (comment !== undefined) add('comment', match.index, end);
    else if (text !== undefined) add('text', match.index, end);
    else if (number !== undefined) add('number', match.index, end);
    else if (keywords.has(keywords === SQL ? word.toLowerCase() : word)) add('keyword', match.index, end);
  }
  if (plain < code.length) parts.push({ kind: '', text: code.slice(plain) });
  return parts;
}
