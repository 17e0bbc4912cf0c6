// The syntaxes of tool calls. Of several that a template's source fits, the first counts: those with rarer marks stand
// before those whose marks others have, too.
#ifndef SC_TEXT_ANSWER_SYNTAXES_H
#define SC_TEXT_ANSWER_SYNTAXES_H

#include "text/answer_syntax.h"

extern const struct sc_answer_syntax sc_answer_deepseek_v32, sc_answer_deepseek_v4, sc_answer_deepseek_r1,
    sc_answer_deepseek_v31, sc_answer_kimi, sc_answer_solar, sc_answer_harmony, sc_answer_gigachat31,
    sc_answer_gigachat3, sc_answer_mistral, sc_answer_mistral_list, sc_answer_minimax_m2, sc_answer_seed,
    sc_answer_qwen_coder, sc_answer_glm, sc_answer_functionary, sc_answer_apriel, sc_answer_minimax_m1,
    sc_answer_granite3, sc_answer_gemma4, sc_answer_minimax_m3, sc_answer_firefunction, sc_answer_command_r,
    sc_answer_hermes, sc_answer_llama3;

static const struct sc_answer_syntax *const sc_answer_syntaxes[] = {
    &sc_answer_deepseek_v32, &sc_answer_deepseek_v4,  &sc_answer_deepseek_r1,  &sc_answer_deepseek_v31,
    &sc_answer_kimi,         &sc_answer_solar,        &sc_answer_harmony,      &sc_answer_gigachat31,
    &sc_answer_gigachat3,    &sc_answer_mistral,      &sc_answer_mistral_list, &sc_answer_minimax_m2,
    &sc_answer_minimax_m3,   &sc_answer_gemma4,       &sc_answer_seed,         &sc_answer_qwen_coder,
    &sc_answer_glm,          &sc_answer_functionary,  &sc_answer_apriel,       &sc_answer_minimax_m1,
    &sc_answer_granite3,     &sc_answer_firefunction, &sc_answer_command_r,    &sc_answer_hermes,
    &sc_answer_llama3,
};

#endif
