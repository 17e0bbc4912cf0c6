// Pre-tokenizers as tokenizer.json writes them, and their names in GGUF. A Split is its regular expression, a ByteLevel
// that splits is GPT2, Digits one by one are DIGITS, Punctuation is PUNCTUATION; parts that split nothing do not count. text/pretokenizers.h has the
// same for our own use, and tests/data/make_pretokenize_cases.py proves that they agree.
#ifndef SC_MODELS_HF_PRETOKENIZERS_H
#define SC_MODELS_HF_PRETOKENIZERS_H

#define GPT2 "<GPT2>"
#define DIGITS "<DIGITS>"
#define PUNCTUATION "<PUNCTUATION>"
enum { HF_PATTERNS_MAX = 5 };

#define LINES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define CL100K(number) \
    CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" number "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" LINES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define START "[^\\r\\n\\p{L}\\p{N}]?"
#define O200K(number, contraction)                                                                                \
    START UPPER "*" LOWER "+" contraction "|" START UPPER "+" LOWER "*" contraction "|" number                    \
          "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" LINES

// What the patterns do not say decides between rows of the same: whether characters are composed first (nfc), whether a
// stretch that is a token is one whatever the merges say (whole), and which family of models it is (NULL: any).
static const struct {
    const char *patterns[HF_PATTERNS_MAX];
    bool nfc, whole;
    const char *family, *name;
} pretokenizers[] = {
    { { GPT2 }, false, false, NULL, "gpt-2" },
    { { GPT2 }, true, false, NULL, "olmo" },
    { { DIGITS, GPT2 }, false, false, NULL, "starcoder" },
    { { DIGITS, GPT2 }, true, false, NULL, "command-r" },
    { { CL100K("\\p{N}{1,3}") }, false, false, "glm4", "glm4" },
    { { CL100K("\\p{N}{1,3}") }, false, true, NULL, "llama-bpe" },
    { { CL100K("\\p{N}{1,3}") }, false, false, NULL, "smaug-bpe" },
    { { CL100K("\\p{N}") }, true, false, NULL, "qwen2" },
    { { CL100K("\\p{N}") }, false, false, NULL, "deepseek-r1-qwen" },
    { { CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" LINES },
      true,
      false,
      NULL,
      "qwen35" },
    { { "\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
        "| ?[\\p{P}\\p{S}]+[\\r\\n]*" LINES },
      false,
      false,
      NULL,
      "deepseek-v3" },
    { { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-\xed\x9f\xbf]+", DIGITS }, false, false, NULL, "deepseek-coder" },
    { { PUNCTUATION, GPT2, "[0-9][0-9][0-9]" }, false, false, NULL, "falcon" },
    { { O200K("\\p{N}{1,3}", CONTRACTION "?") }, false, false, NULL, "gpt-4o" },
    { { O200K("\\p{N}", "") }, false, true, NULL, "tekken" },
};

#undef LINES
#undef CONTRACTION
#undef CL100K
#undef UPPER
#undef LOWER
#undef START
#undef O200K

#endif
