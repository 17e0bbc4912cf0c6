// The pre-tokenizers: one row for each rule, which may have several names.
//
// To add one, add a row: the names that tokenizer.ggml.pre may have, the patterns in the order in which the model's own
// tokenizer applies them, and what else it does. tests/data/make_pretokenize_cases.py holds the same patterns as the
// models write them and proves the rows against Hugging Face's tokenizers; add it there, too.
//
// The patterns are those of the models, in PCRE2's language:
// - "space" is the White_Space property, spelled out, because PCRE2's own \s has one character more (U+180E);
// - sets are subtracted by listing the categories left out, as PCRE2 has no class arithmetic;
// - a pattern is rewritten where it would take more than linear time, and a comment says why its matches are the same.
// Of Hugging Face's other pre-tokenizers, ByteLevel with use_regex is GPT2, Digits is \p{N}, Punctuation is \p{P} and
// ASCII's punctuation.
#ifndef SC_TEXT_PRETOKENIZERS_H
#define SC_TEXT_PRETOKENIZERS_H

#include "text/pretokenize.h"

// Inside a character class.
#define SPACE                                                                                                \
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

// What most patterns end with: spaces up to the one before a word, or all of them; before that, lines' ends.
#define SPACES "[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+"
#define LINES_AND_SPACES "[" SPACE "]*[\\r\\n]+|" SPACES

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"

// GPT-2's own (Radford et al. 2019, encoder.py).
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|" SPACES

// That of cl100k_base, which Llama 3, Qwen and others share but for the length of numbers.
#define CL100K(number)                                                                                       \
    CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" number "| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|"            \
                LINES_AND_SPACES

// That of o200k_base: a word is capitals, then small letters. Lm, Lo and marks count as both.
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED_WORD(upper, lower, contraction)                                                                \
    "[^\\r\\n\\p{L}\\p{N}]?" upper "*" lower "+" contraction "|[^\\r\\n\\p{L}\\p{N}]?" upper "+" lower "*" contraction
#define O200K(number, contraction)                                                                           \
    CASED_WORD(UPPER, LOWER, contraction) "|" number "| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n/]*|" LINES_AND_SPACES

// UPPER and LOWER without Han characters: all but the other categories and Han. The script property is meant, not
// the script extensions.
#define NOT_WORD "\\p{C}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{sc:Han}"
#define UPPER_NOT_HAN "[^" NOT_WORD "\\p{Ll}]"
#define LOWER_NOT_HAN "[^" NOT_WORD "\\p{Lu}\\p{Lt}]"

// Of DeepSeek's first tokenizers: Chinese and its neighbours, and letters of scripts with capitals (not the same set
// as any property of today's Unicode).
#define CHINESE "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define CASED_LETTERS \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}" \
    "\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}" \
    "\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}" \
    "\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}" \
    "\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}" \
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}" \
    "\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}" \
    "\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}" \
    "\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}" \
    "\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}" \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}" \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}" \
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}" \
    "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}" \
    "\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}" \
    "\\x{1e900}-\\x{1e943}"

// BLOOM's: words are what sentence punctuation and brackets leave.
#define BLOOM_WORD                                                                                           \
    " ?[^()|" SPACE ".,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c}]+"

static const struct sc_pretokenizer pretokenizers[] = {
    {
        // Files of converters that knew no pre-tokenizers yet.
        .names = { "default" },
        .patterns = { "[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]" },
    },
    {
        .names = { "gpt-2", "phi-2", "gigachat", "jais", "trillion", "granite-docling", "exaone4", "a.x-4.0",
                   "mellum", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de" },
        .patterns = { GPT2 },
    },
    {
        .names = { "roberta-bpe", "jina-v1-en", "jina-v2-code" },
        .patterns = { GPT2 },
    },
    {
        .names = { "mpt", "olmo", "modern-bert" },
        .patterns = { GPT2 },
        .nfc = true,
    },
    {
        .names = { "starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2" },
        .patterns = { "\\p{N}", GPT2 },
    },
    {
        .names = { "command-r" },
        .patterns = { "\\p{N}", GPT2 },
        .nfc = true,
    },
    {
        // Falcon has Digits, too, before the triples, on bytes written as letters ("½" is C2 BD, and BD is written
        // "½"). No merge of its vocabulary crosses a border that this draws, so leaving it out changes no token.
        .names = { "falcon" },
        .patterns = { "[\\p{P}!-/:-@\\[-`{-~]+", GPT2, "[0-9][0-9][0-9]" },
    },
    {
        .names = { "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
                   "jina-v5-nano" },
        .patterns = { CL100K("\\p{N}{1,3}") },
        .ignore_merges = true,
        .add_bos = true,
    },
    {
        .names = { "smaug-bpe", "dbrx" },
        .patterns = { CL100K("\\p{N}{1,3}") },
    },
    {
        .names = { "glm4", "chatglm-bpe" },
        .patterns = { CL100K("\\p{N}{1,3}") },
        .turns_end = true,
    },
    {
        .names = { "qwen2" },
        .patterns = { CL100K("\\p{N}") },
        .nfc = true,
    },
    {
        .names = { "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2", "kormo",
                   "f2llmv2" },
        .patterns = { CL100K("\\p{N}") },
    },
    {
        .names = { "qwen35" },
        .patterns = { CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" SPACE
                                  "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES_AND_SPACES },
        .nfc = true,
    },
    {
        // The model's pattern for trailing spaces is \s+$. Tried from every space of a run that is not at the end, it
        // would cost the run's length squared; but a match always begins where its run begins.
        .names = { "deepseek-llm" },
        .patterns = { "[\\r\\n]", "[" SPACE "]?[" CASED_LETTERS "]+",
                      "[" SPACE "]?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}"
                      "\\x{3000}-\\x{3002}]+",
                      "(?<![" SPACE "])[" SPACE "]++\\z", CHINESE, "\\p{N}" },
    },
    {
        .names = { "deepseek-coder" },
        .patterns = { "[\\r\\n]", "[" SPACE "]?\\p{L}+", "[" SPACE "]?\\p{P}+", CHINESE, "\\p{N}" },
    },
    {
        .names = { "deepseek-v3", "hunyuan-dense", "joyai-llm" },
        .patterns = { "\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+",
                      "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                      " ?[\\p{P}\\p{S}]+[\\r\\n]*|" LINES_AND_SPACES },
    },
    {
        .names = { "gpt-4o", "llama4", "kanana2", "minimax-m2", "talkie" },
        .patterns = { O200K("\\p{N}{1,3}", CONTRACTION "?") },
    },
    {
        .names = { "tekken" },
        .patterns = { O200K("\\p{N}", "") },
        .ignore_merges = true,
        .add_bos = true,
    },
    {
        .names = { "kimi-k2" },
        .patterns = { "\\p{sc:Han}+|" CASED_WORD(UPPER_NOT_HAN, LOWER_NOT_HAN, CONTRACTION "?")
                      "|\\p{N}{1,3}| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|" LINES_AND_SPACES },
    },
    {
        .names = { "bloom", "poro-chat", "gpt3-finnish" },
        .patterns = { BLOOM_WORD },
    },
    {
        .names = { "viking" },
        .patterns = { BLOOM_WORD, "\\p{N}" },
    },
    {
        .names = { "bailingmoe", "bailingmoe2", "llada-moe" },
        .patterns = { "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}|"
                      " ?[^" SPACE "\\p{L}\\p{N}]++[\\r\\n]*|[" SPACE "]*[\\r\\n]|" SPACES },
    },
    {
        .names = { "seed-coder" },
        .patterns = { CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^" SPACE "\\p{L}\\p{N}\\r\\n]+|"
                                  LINES_AND_SPACES },
    },
    {
        // Possessive where the model's pattern is greedy: nothing follows the word that giving back could satisfy.
        .names = { "exaone-moe" },
        .patterns = { CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^" SPACE
                                  "\\p{L}\\p{N}]+[\\r\\n/]?|[" SPACE "]*[\\r\\n]|" SPACES },
    },
};

#endif
