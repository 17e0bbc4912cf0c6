// The syntaxes of tool calls, sc_answer_<name> of text/answer_*.c. Of several that a template's source fits, the first
// counts: those with rarer marks stand before those whose marks others have, too. Included with SC_ANSWER_SYNTAX
// defined, as often as it takes.
SC_ANSWER_SYNTAX(deepseek_v32) // <｜DSML｜function_calls>
SC_ANSWER_SYNTAX(deepseek_v4)  // <｜DSML｜tool_calls>
SC_ANSWER_SYNTAX(deepseek_r1)  // <｜tool▁calls▁begin｜>, fenced
SC_ANSWER_SYNTAX(deepseek_v31) // <｜tool▁calls▁begin｜>
SC_ANSWER_SYNTAX(kimi)         // <|tool_calls_section_begin|>
SC_ANSWER_SYNTAX(solar)        // <|tool_call:begin|>
SC_ANSWER_SYNTAX(harmony)      // <|channel|>commentary to=functions.
SC_ANSWER_SYNTAX(gigachat31)   // <|function_call|>
SC_ANSWER_SYNTAX(gigachat3)    // function call<|role_sep|>
SC_ANSWER_SYNTAX(mistral)      // [TOOL_CALLS]name[ARGS]
SC_ANSWER_SYNTAX(mistral_list) // [TOOL_CALLS][
SC_ANSWER_SYNTAX(minimax_m2)   // <minimax:tool_call>
SC_ANSWER_SYNTAX(minimax_m3)   // ]<]minimax[>[<tool_call>
SC_ANSWER_SYNTAX(gemma4)       // <|tool_call>
SC_ANSWER_SYNTAX(seed)         // <seed:tool_call>
SC_ANSWER_SYNTAX(qwen_coder)   // <tool_call><function=name><parameter=
SC_ANSWER_SYNTAX(glm)          // <tool_call>name<arg_key>
SC_ANSWER_SYNTAX(functionary)  // <function=name>{
SC_ANSWER_SYNTAX(apriel)       // <tool_calls>[
SC_ANSWER_SYNTAX(minimax_m1)   // <tool_calls>
SC_ANSWER_SYNTAX(granite3)     // <|tool_call|>[
SC_ANSWER_SYNTAX(firefunction) // functools[
SC_ANSWER_SYNTAX(command_r)    // Action: ```json
SC_ANSWER_SYNTAX(hermes)       // <tool_call>{
SC_ANSWER_SYNTAX(llama3)       // {"name": …, "parameters": …}
