#!/usr/bin/env python3
"""Makes pretokenize_cases.json: how Hugging Face's tokenizers cut tricky strings.

Each is written here as the models' own tokenizer.json (or, for Kimi, tokenization_kimi.py) has it, and run
by the tokenizers library (pip install tokenizers). src/text/pretokenizers.h must cut the same way. ByteLevel's
expression is applied as a Split, so that the pieces stay text; cuts are stored as lengths of pieces in bytes of UTF-8.

    python3 make_pretokenize_cases.py > pretokenize_cases.json
"""
import json

from tokenizers import Regex
from tokenizers import pre_tokenizers as P


def split(pattern):
    return P.Split(Regex(pattern), "isolated")


GPT2 = split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
DIGITS = P.Digits(individual_digits=True)
LINES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CHINESE = split("[一-龥ࠀ-一가-퟿]+")


def cl100k(number):
    return split(CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + number + r"| ?[^\s\p{L}\p{N}]+[\r\n]*" + LINES)


def cased_word(no_han, contraction):
    upper = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}" + no_han + "]"
    lower = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}" + no_han + "]"
    start = r"[^\r\n\p{L}\p{N}]?"
    return f"{start}{upper}*{lower}+{contraction}|{start}{upper}+{lower}*{contraction}"


def o200k(number, contraction):
    return split(cased_word("", contraction) + "|" + number + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*" + LINES)


# The cased letters that DeepSeek's first tokenizers list one by one.
CASED = (
    "A-Za-z\xb5\xc0-\xd6\xd8-\xf6\xf8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377"
    "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556"
    "\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a"
    "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4"
    "\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc"
    "\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f"
    "\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b"
    "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943"
)
BLOOM = split(" ?[^(\\s|[.,!?…。，、।۔،])]+")

PRETOKENIZERS = {
    "default": [split(r"[\p{P}\$\+<=>\^~\|]+"), GPT2, split(r"\p{N}+"), split("[0-9][0-9][0-9]")],
    "gpt-2": [GPT2],
    "starcoder": [DIGITS, GPT2],
    "falcon": [P.Punctuation("contiguous"), GPT2, split("[0-9][0-9][0-9]")],
    "llama-bpe": [cl100k(r"\p{N}{1,3}")],
    "qwen2": [cl100k(r"\p{N}")],
    "qwen35": [
        split(CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + LINES)
    ],
    "deepseek-llm": [
        split("[\r\n]"),
        split(r"\s?[" + CASED + "]+"),
        split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        split(r"\s+$"),
        CHINESE,
        DIGITS,
    ],
    "deepseek-coder": [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), CHINESE, DIGITS],
    "deepseek-v3": [
        split(r"\p{N}{1,3}"),
        split("[一-龥぀-ゟ゠-ヿ]+"),
        split(
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*" + LINES
        ),
    ],
    "gpt-4o": [o200k(r"\p{N}{1,3}", CONTRACTION + "?")],
    "tekken": [o200k(r"\p{N}", "")],
    "kimi-k2": [
        split(
            r"[\p{Han}]+|" + cased_word(r"&&[^\p{Han}]", CONTRACTION + "?")
            + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + LINES
        )
    ],
    "bloom": [BLOOM],
    "viking": [BLOOM, DIGITS],
    "bailingmoe": [
        split(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
        )
    ],
    "seed-coder": [split(CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+" + LINES)],
    "exaone-moe": [
        split(
            CONTRACTION + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?"
            r"|\s*[\r\n]|\s+(?!\S)|\s+"
        )
    ],
}

STRINGS = [
    "Hello world", " Hello  World", "hello, world!", "don't I'll WE'RE it's 'tis O'Neil's y'all'd", "I'M 'S 'll 'LL're",
    "'ſ it'ſ x'S", "she’s", "''s'''t", "a'b'c", "'", "' s", "1 12 123 1234 12345 123456 1234567", "a1b22c333d4444",
    "3.14159, 1e-10, 0x1F", "½ ² ³ Ⅷ ௧௨௩ ٣٤٥٦ 12½3456", "１２３４５６", "1,234,567.89", "v1.2.3-rc4", "2026年1月15日", "x=1;y=22",
    "camelCase PascalCase XMLHttpRequest iPhone McDonald", "ABCdef abcDEF aBcDeF", "ALLCAPS nocaps", "ÀÉÎ àéî ÀéÎ", "ǅungla ǆungla Ǆungla",
    "ʰʷ ˈstrɛs", "ªº", "Привет, Мир! ПРИВЕТ как дЕЛа", "Съешь ещё этих", "Ελλάδα ΑΘΗΝΑ Ὀδυσσεύς", "Հայաստան", "საქართველო ᲡᲐᲥ",
    "ⴀⴁ", "ᏣᎳᎩ ꭰꭱ", "中文字符 and English", "自主可控、协同运行。", "日本語とEnglishのミックス、カタカナ。", "々〇〻〡", "한국어 텍스트 123",
    "ㄅㄆㄇ ㈀", "हिन्दी में कुछ शब्द", "मराठी १२३", "ไทยภาษา ทดสอบ", "កាន់តែពិសេស", "বাংলা ভাষা", "தமிழ் மொழி", "مرحبا بالعالم، كيف", "مُحَمَّد",
    "שָׁלוֹם עולם", "e\u0301e\u0301 cafe\u0301", "\u0301\u0301", " \u0301x", "a\u0301B\u0301c", "1\u03012", "!\u0301?", "Ñandú", "tiếng Việt",
    "😀", "😀😁 text😂more", "👩\u200d👩\u200d👧\u200d👦🏳\ufe0f\u200d🌈", "🇫🇷🇩🇪", "☃❄ ✅", "→←↔", "€100 £5 ¥", "© ® ™", "`code` ~tilde~ ^caret^ |pipe|",
    "a+b=c<d>e$f", "«délicieux» „Gänse“", "…—–‘’“”", "、。！？；：", "（括号）【】", "।۔،", "(a|b)", "[1][2]", "{x: 1}", "__init__", "snake_case_name",
    "kebab-case", "https://example.org/a?b=c&d=%20#frag", "user@host.com", "C:\\path\\file", "/usr/bin/env", "//comment", "a/b/c//\n", "path/\r\nx",
    "int main(void) {\n\treturn 0;\n}\n", "def f(x):\n    return {k: v**2}  # ok\n", "if(a&&b||!c){}", "#include <stdio.h>", "<div class=\"a\">",
    "<|im_start|>user", "!!!???...", "....", "a.b.c", ".hidden", "!x !X ?Y", "#tag @user $var %d &amp", "-x --long", "+=-=*=/=",
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\t\t", " \n", "\n ", " \n ", "  \n\n  ", "\n \n \n", "a\nb", "a\n\nb", "a \n b", "a  b", "a   b",
    "a\tb", "a\t\tb", " \ta", "\t a", "x  ", "x \n", "x\n  ", "x \t\n\r\n ", "   leading", "trailing   ", "\x0b\x0c", "a\x0bb \x0c c", "a\x85b", "a\xa0b",
    "\xa0\xa0x", " \xa0 ", "a\u2003b\u3000c", "a\u2028b\u2029c", "\u200b\u200b", "a\u200bb", "\ufeffBOM", "a\u180eb \u180e c", "\x00\x01\x7f", "a\x00b",
    "Å Å \ufb01\ufb02", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐐀𐐨𐐁", "𠀀𠀁 字", "\ue000 \U0010fffd", "ﷺ", "①②③", "x²+y²", "H₂O", "10⁻³", "№5 ℃ Ω K",
    "the quick brown fox jumps over the lazy dog. " * 2, "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "AAAAaaaaAAAA", "!?" * 9, "12" * 9, " a" * 9, "\n " * 7,
    "You have 3 new messages\n\n\nReply?", "I’ve seen 2×10^8 km/h", "A B C D", "a b c\nd e", "가 나다 라 마", "X'Y'Z's", "日本語's 中文'll", "Iñtërnâtiônàlizætiøn",
]


def cut(steps, text):
    pieces = P.Sequence(steps).pre_tokenize_str(text)
    assert "".join(piece for piece, _ in pieces) == text, text
    return [len(piece.encode()) for piece, _ in pieces]


def main():
    rows = []
    for name, steps in PRETOKENIZERS.items():
        rows.append({"pre": name, "pieces": [cut(steps, text) for text in STRINGS]})
    print('{"strings": [')
    print(",\n".join(json.dumps(text) for text in STRINGS))
    print('],\n"rows": [')
    print(",\n".join(json.dumps(row, separators=(",", ":")) for row in rows))
    print("]}")


if __name__ == "__main__":
    main()
