// Configuration files: what they may say, what wins, and which mistakes are told how.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/size.h"
#include "cli/config.h"

static const struct cli_command command = { .name = "test", .summary = "", .usage = "", .examples = "" };

struct values {
    const char *config, *host, *system;
    uint32_t port;
    uint64_t tokens;
    float temperature;
    bool overcommit, check;
    struct cli_texts stop;
};

struct outcome {
    struct values v;
    struct cli_config config;
    int code;
    const char *operands[2];
    size_t n_operands;
    char said[1024]; // on standard error
};

// Reads `file` (NULL: none) and then the words of a command line, separated by single blanks.
static struct outcome read_both(const char *file, size_t n_bytes, const char *line)
{
    static char path[] = "test.conf", program[] = "test", flag[] = "--config";
    static char words[512]; // values point into it
    static struct values v; // and the table to these
    struct outcome out = { 0 };
    char *argv[32] = { program };
    int argc = 1;
    v = (struct values){ .port = 1, .host = "default" };
    const struct cli_option options[] = {
        { "config", 0, CLI_TEXT, &v.config, "FILE", "read options from a file" },
        { "Heading", 0, CLI_FLAG, NULL, NULL, NULL },
        { "host", 0, CLI_TEXT, &v.host, "NAME", "" },
        { "system", 's', CLI_TEXT, &v.system, "TEXT", "" },
        { "port", 'p', CLI_U32, &v.port, "N", "" },
        { "tokens", 0, CLI_U64, &v.tokens, "N", "" },
        { "temperature", 0, CLI_F32, &v.temperature, "X", "" },
        { "overcommit", 0, CLI_FLAG, &v.overcommit, NULL, "" },
        { "check", 0, CLI_FLAG, &v.check, NULL, "" },
        { "stop", 0, CLI_TEXTS, &v.stop, "TEXT", "" },
        { NULL, 0, CLI_FLAG, NULL, NULL, NULL },
    };
    socle_error err;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    if (file) {
        assert_int_equal(sc_write_file(path, file, n_bytes, &err), SOCLE_OK);
        argv[argc++] = flag;
        argv[argc++] = path;
    }
    FILE *said = tmpfile();
    int old = dup(STDERR_FILENO);
    assert_non_null(said);
    dup2(fileno(said), STDERR_FILENO);
    out.code = cli_parse_config(&command, options, argc, argv, out.operands, 2, &out.n_operands, &out.config);
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    close(old);
    rewind(said);
    out.said[fread(out.said, 1, sizeof out.said - 1, said)] = '\0';
    fclose(said);
    if (file) unlink(path);
    out.v = v;
    return out;
}

static struct outcome read_text(const char *file, const char *line)
{
    return read_both(file, file ? strlen(file) : 0, line);
}

static void every_kind_of_option_can_be_given(void **state)
{
    (void)state;
    struct outcome o = read_text("# a server\n"
                                 "host = 127.0.0.1\n"
                                 "  port=8080   # a comment\n"
                                 "tokens = 8k\r\n"
                                 "\n"
                                 "\t\n"
                                 "temperature\t=\t0.5\n"
                                 "overcommit = yes\n"
                                 "system = \"say \\\"#1\\\" = \\\\o/ \"  # quoted\n"
                                 "stop = END OF#TEXT\n"
                                 "stop = \"# \"\n"
                                 "check = off",
                                 "");
    assert_string_equal(o.said, "");
    assert_int_equal(o.code, -1);
    assert_string_equal(o.v.host, "127.0.0.1");
    assert_int_equal(o.v.port, 8080);
    assert_int_equal(o.v.tokens, 8192);
    assert_float_equal(o.v.temperature, 0.5, 0);
    assert_true(o.v.overcommit);
    assert_false(o.v.check);
    assert_string_equal(o.v.system, "say \"#1\" = \\o/ ");
    assert_int_equal(o.v.stop.n, 2);
    assert_string_equal(o.v.stop.items[0], "END OF#TEXT");
    assert_string_equal(o.v.stop.items[1], "# ");
    cli_config_free(&o.config);
    cli_config_free(&o.config);
}

static void the_command_line_wins(void **state)
{
    (void)state;
    struct outcome o = read_text("host = file\nport = 8080\nstop = a\nstop = b\novercommit = no\n",
                                 "operand --port 9090 --stop mine --overcommit -s hello");
    assert_int_equal(o.code, -1);
    assert_string_equal(o.v.host, "file");
    assert_int_equal(o.v.port, 9090);
    assert_int_equal(o.v.stop.n, 1);
    assert_string_equal(o.v.stop.items[0], "mine");
    assert_true(o.v.overcommit);
    assert_string_equal(o.v.system, "hello");
    assert_int_equal(o.n_operands, 1);
    assert_string_equal(o.operands[0], "operand");
    cli_config_free(&o.config);
}

static void without_a_file_nothing_changes(void **state)
{
    (void)state;
    struct outcome o = read_text(NULL, "--port 2 --stop x --stop y");
    assert_int_equal(o.code, -1);
    assert_int_equal(o.v.port, 2);
    assert_string_equal(o.v.host, "default");
    assert_int_equal(o.v.stop.n, 2);
    assert_null(o.config.text);
    o = read_text("", "--port 3");
    assert_int_equal(o.code, -1);
    assert_int_equal(o.v.port, 3);
    cli_config_free(&o.config);
    o = read_text("\xEF\xBB\xBFport = 4", "");
    assert_int_equal(o.v.port, 4);
    cli_config_free(&o.config);
    o = read_text("host = \"\"", "");
    assert_string_equal(o.v.host, "");
    cli_config_free(&o.config);
}

static void mistakes_are_told_with_file_line_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *file, *said;
    } cases[] = {
        { "port = 1\n\nprot = 2\n", "test.conf:3: no option is called 'prot': did you mean 'port'?" },
        { "--port = 2", "test.conf:1: no option is called '--port': did you mean 'port'?" },
        { "Heading = 2", "test.conf:1: no option is called 'Heading'" },
        { "quite_else = 2", "test.conf:1: no option is called 'quite_else'" },
        { "# x\nport = many", "test.conf:2: 'port': expected a whole number up to 4294967295, found 'many'" },
        { "port = 5000000000", "expected a whole number up to" },
        { "temperature = warm", "test.conf:1: 'temperature': expected a number, found 'warm'" },
        { "overcommit = maybe", "test.conf:1: 'overcommit': expected yes or no, found 'maybe'" },
        { "overcommit", "test.conf:1: expected 'key = value', found 'overcommit'" },
        { "= 3", "test.conf:1: expected 'key = value'" },
        { "[server]\nport = 1", "test.conf:1: expected 'key = value'; there are no sections here" },
        { "port = 1\nhost = x\nport = 2", "test.conf:3: 'port' stands on line 1 already" },
        { "port =", "test.conf:1: 'port' needs a value" },
        { "host = # nothing", "test.conf:1: 'host' needs a value" },
        { "host = \"open", "test.conf:1: 'host': the quotes of the value do not end on this line" },
        { "host = \"open\\\"", "do not end on this line" },
        { "host = \"a\" b", "test.conf:1: 'host': unexpected 'b' behind the value" },
        { "config = other.conf", "test.conf:1: a configuration file names no other" },
        { "host = \x1b[31m\nprot = \x1b", "test.conf:2: no option is called 'prot'" },
    };
    for (size_t i = 0; i < SC_COUNT(cases); i++) {
        struct outcome o = read_text(cases[i].file, "");
        if (o.code != SOCLE_BAD_FILE || !strstr(o.said, cases[i].said))
            fail_msg("'%s': code %d, said '%s', expected '%s'", cases[i].file, o.code, o.said, cases[i].said);
        assert_null(strchr(o.said, '\x1b'));
        cli_config_free(&o.config);
    }
    struct outcome o = read_both("port = 1\nho\0st = 2\n", 19, "");
    assert_int_equal(o.code, SOCLE_BAD_FILE);
    assert_non_null(strstr(o.said, "test.conf:2: a byte of value 0"));
    cli_config_free(&o.config);
}

static void mistakes_on_the_command_line_come_first(void **state)
{
    (void)state;
    struct outcome o = read_text("prot = 1", "--hots x");
    assert_int_equal(o.code, SOCLE_BAD_ARGUMENT);
    assert_non_null(strstr(o.said, "did you mean '--host'?"));
    assert_null(o.config.text);
    o = read_text(NULL, "--config none.conf");
    assert_int_equal(o.code, SOCLE_IO);
    assert_non_null(strstr(o.said, "none.conf: cannot open: No such file"));
}

static void lists_have_an_end(void **state)
{
    (void)state;
    char file[2048] = "";
    for (int i = 0; i < 33; i++) strcat(file, "stop = x\n");
    struct outcome o = read_text(file, "");
    assert_int_equal(o.code, SOCLE_BAD_FILE);
    assert_non_null(strstr(o.said, "test.conf:33: 'stop': expected fewer of these"));
    cli_config_free(&o.config);
}

// Any bytes are read or refused; the sanitizers look on.
static void any_text_is_read_or_refused(void **state)
{
    (void)state;
    static const char pieces[] = "port=host \"\\#\n\r\t=[]stop12\xC3\xA9\x80";
    uint32_t random = 1;
    for (int i = 0; i < 500; i++) {
        char file[64];
        for (size_t j = 0; j < sizeof file - 1; j++) {
            random = random * 1664525 + 1013904223;
            file[j] = pieces[(random >> 16) % (sizeof pieces - 1)];
        }
        struct outcome o = read_both(file, sizeof file - 1, "");
        assert_true(o.code == -1 || o.code == SOCLE_BAD_FILE);
        cli_config_free(&o.config);
    }
}

static int enter_folder(void **state)
{
    static char folder[] = "/tmp/socle-config-XXXXXX";
    *state = folder;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) { return chdir("/") == 0 && rmdir(*state) == 0 ? 0 : -1; }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_option_can_be_given),
        cmocka_unit_test(the_command_line_wins),
        cmocka_unit_test(without_a_file_nothing_changes),
        cmocka_unit_test(mistakes_are_told_with_file_line_and_key),
        cmocka_unit_test(mistakes_on_the_command_line_come_first),
        cmocka_unit_test(lists_have_an_end),
        cmocka_unit_test(any_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
