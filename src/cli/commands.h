// The list of commands, in the order of `socle --help`: CLI_COMMAND(name). To add one: src/cli/<name>.c and a line here.
CLI_COMMAND(run)
CLI_COMMAND(inspect)
CLI_COMMAND(tokenize)
CLI_COMMAND(template)
CLI_COMMAND(convert)
CLI_COMMAND(pack)
CLI_COMMAND(logits)
CLI_COMMAND(perplexity)
CLI_COMMAND(quantize)
CLI_COMMAND(imatrix)
CLI_COMMAND(bench)
CLI_COMMAND(doctor)
#ifdef SC_HAVE_SERVER
CLI_COMMAND(serve)
CLI_COMMAND(key)
#endif
