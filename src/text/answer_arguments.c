// The inner half of reading answers: arguments, written as JSON text or as tags, become JSON text as they stream.
//
//   <parameter=city>␤Rome␤</parameter>␤<parameter=days>␤3␤</parameter>␤</function>
//   {"city":"Rome                   "  ,"days":3                       }
//
// A string streams; a value of another type, or of a type that is not known, is given out when its end has come.
#include <ctype.h>
#include <string.h>

#include "base/size.h"
#include "text/answer_syntax.h"

static void take(struct sc_answer *a, size_t n) { a->n_taken += n; }

static void emit(struct sc_answer *a, const char *text, size_t n) { sc_answer_emit(a, SC_ANSWER_ARGUMENTS, text, n); }

static void emit_string(struct sc_answer *a, const char *text, size_t n)
{
    sc_buffer_clear(&a->out);
    if (sc_json_escape(&a->out, text, n)) emit(a, a->out.data, a->out.n_bytes);
    a->failed = a->failed || a->out.failed;
}

void sc_answer_begin_arguments(struct sc_answer *a, bool whole)
{
    const json_t *tool = sc_answer_tool_named(a->tools, a->name.data ? a->name.data : "");
    a->parameters = sc_answer_tool_parameters(tool);
    sc_answer_emit(a, SC_ANSWER_CALL_BEGIN, a->name.data, a->name.n_bytes);
    a->scan = (struct sc_json_scan){ 0 };
    if (whole) {
        emit(a, a->value.data, a->value.n_bytes);
        sc_answer_end_call(a, true);
    } else if (a->syntax->tags) {
        emit(a, "{", 1);
        a->has_arguments = false;
        a->phase = SC_PHASE_PARAMETERS;
    } else {
        a->phase = SC_PHASE_JSON;
    }
}

// ---- JSON text

// Begins to scan what stands behind a value in an object.
static void begin_tail(struct sc_answer *a)
{
    static const char before[] = "{\"\":0";
    a->scan = (struct sc_json_scan){ 0 };
    for (size_t i = 0; before[i]; i++) sc_json_scan_byte(&a->scan, before[i]);
    a->phase = SC_PHASE_TAIL;
}

bool sc_answer_step_json(struct sc_answer *a)
{
    struct sc_text text = sc_answer_left(a);
    size_t begin = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        bool in_string = sc_json_scan_in_string(&a->scan);
        enum sc_json_step step = sc_json_scan_byte(&a->scan, text.data[i]);
        if (step == SC_JSON_BROKEN || step == SC_JSON_END) {
            size_t end = step == SC_JSON_END ? i + 1 : i;
            emit(a, text.data + begin, end - begin);
            take(a, end);
            if (step == SC_JSON_END && a->in_object) begin_tail(a);
            else sc_answer_end_call(a, step == SC_JSON_END);
            return true;
        }
        if (!in_string || (unsigned char)text.data[i] >= 0x20) continue;
        emit(a, text.data + begin, i - begin);
        emit_string(a, text.data + i, 1);
        begin = i + 1;
    }
    emit(a, text.data + begin, text.n_bytes - begin);
    take(a, text.n_bytes);
    if (a->finished) sc_answer_end_call(a, false);
    return a->finished;
}

// The arguments are whole; what else is in their object does not matter, and models forget to close it.
bool sc_answer_step_tail(struct sc_answer *a)
{
    struct sc_text text = sc_answer_left(a);
    for (size_t i = 0; i < text.n_bytes; i++) {
        enum sc_json_step step = sc_json_scan_byte(&a->scan, text.data[i]);
        if (step == SC_JSON_MORE) continue;
        take(a, step == SC_JSON_END ? i + 1 : i);
        sc_answer_end_call(a, true);
        return true;
    }
    take(a, text.n_bytes);
    if (a->finished) sc_answer_end_call(a, true);
    return a->finished;
}

// ---- tags

static bool broken(struct sc_answer *a)
{
    sc_answer_end_call(a, false);
    return true;
}

// Reads a key and what follows it; returns which middle, or -1: *read says why.
static int read_key(const struct sc_answer_tags *tags, struct sc_text text, struct sc_text *key, enum sc_read *read)
{
    enum { KEY_BYTES_MAX = 256 };
    size_t begin = strlen(tags->open);
    for (size_t i = begin; i - begin <= KEY_BYTES_MAX; i++) {
        *read = SC_READ_MORE;
        if (i == text.n_bytes) return -1;
        for (size_t m = 0; m < SC_COUNT(tags->middles) && tags->middles[m].text; m++) {
            enum sc_read is = sc_text_has_mark(text, i, tags->middles[m].text);
            if (is == SC_READ_BROKEN) continue;
            *key = (struct sc_text){ text.data + begin, i - begin };
            *read = is;
            return is == SC_READ_OK ? (int)m : -1;
        }
        if (text.data[i] == '\n' || text.data[i] == '<') break;
    }
    *read = SC_READ_BROKEN;
    return -1;
}

// The type of an argument's value: what the tag says, or its schema.
static uint8_t type_of_value(const struct sc_answer *a, uint8_t said, struct sc_text key)
{
    if (said != SC_VALUE_ANY) return said;
    const json_t *schema = json_object_getn(json_object_get(a->parameters, "properties"), key.data, key.n_bytes);
    return sc_answer_value_type(schema);
}

static bool begin_parameter(struct sc_answer *a, struct sc_text text)
{
    const struct sc_answer_tags *tags = a->syntax->tags;
    struct sc_text key;
    enum sc_read read;
    int middle = read_key(tags, text, &key, &read);
    if (middle < 0) {
        if (read == SC_READ_MORE && !a->finished) return false;
        return broken(a);
    }
    a->value_type = type_of_value(a, tags->middles[middle].type, key);
    emit(a, a->has_arguments ? ",\"" : "\"", a->has_arguments ? 2 : 1);
    emit_string(a, key.data, key.n_bytes);
    bool is_string = a->value_type == SC_VALUE_STRING;
    emit(a, is_string ? "\":\"" : "\":", is_string ? 3 : 2);
    take(a, key.n_bytes + strlen(tags->open) + strlen(tags->middles[middle].text));
    sc_buffer_clear(&a->value);
    a->has_arguments = a->at_value_start = true;
    a->phase = SC_PHASE_VALUE;
    return true;
}

static bool end_parameters(struct sc_answer *a, size_t n_bytes)
{
    take(a, n_bytes);
    emit(a, "}", 1);
    sc_answer_end_call(a, true);
    return true;
}

bool sc_answer_step_parameters(struct sc_answer *a)
{
    const struct sc_answer_tags *tags = a->syntax->tags;
    struct sc_text text = sc_answer_left(a);
    size_t n = 0;
    while (n < text.n_bytes && isspace((unsigned char)text.data[n])) n++;
    take(a, n);
    text = sc_answer_left(a);
    if (text.n_bytes == 0) return a->finished && broken(a);
    enum sc_read opens = sc_text_has_mark(text, 0, tags->open), ends = sc_text_has_mark(text, 0, tags->call_end);
    if (opens == SC_READ_OK) return begin_parameter(a, text);
    if (ends == SC_READ_OK) return end_parameters(a, strlen(tags->call_end));
    bool waits = opens == SC_READ_MORE || ends == SC_READ_MORE;
    // Models forget the end of a call where the end of calls follows.
    for (size_t i = 0; i < SC_COUNT(a->syntax->fillers) && a->syntax->fillers[i]; i++) {
        enum sc_read is = sc_text_has_mark(text, 0, a->syntax->fillers[i]);
        if (is == SC_READ_OK) return end_parameters(a, strlen(a->syntax->fillers[i]));
        waits = waits || is == SC_READ_MORE;
    }
    if (waits && !a->finished) return false;
    return broken(a);
}

// Is the text one JSON value? *is_string: a string.
static bool is_json(struct sc_text text, bool *is_string)
{
    struct sc_json_scan scan = { 0 };
    enum sc_json_step step = SC_JSON_MORE;
    *is_string = text.n_bytes > 0 && text.data[0] == '"';
    for (size_t i = 0; i < text.n_bytes; i++) {
        step = sc_json_scan_byte(&scan, text.data[i]);
        if (step == SC_JSON_END) return i + 1 == text.n_bytes;
        if (step != SC_JSON_MORE) return false;
    }
    return text.n_bytes > 0 && sc_json_scan_byte(&scan, ' ') == SC_JSON_BEFORE; // a number has no end of its own
}

// Appends JSON text with escapes for the control characters in its strings.
static void write_json(struct sc_buffer *out, struct sc_text text)
{
    struct sc_json_scan scan = { 0 };
    size_t begin = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        bool control = sc_json_scan_in_string(&scan) && (unsigned char)text.data[i] < 0x20;
        sc_json_scan_byte(&scan, text.data[i]);
        if (!control) continue;
        sc_buffer_append(out, text.data + begin, i - begin);
        sc_json_escape(out, text.data + i, 1);
        begin = i + 1;
    }
    sc_buffer_append(out, text.data + begin, text.n_bytes - begin);
}

void sc_answer_write_value(struct sc_buffer *out, struct sc_text text, uint8_t type)
{
    static const char *const words[][2] = { { "True", "true" }, { "False", "false" }, { "None", "null" } };
    struct sc_text all = text;
    while (text.n_bytes && isspace((unsigned char)text.data[0])) {
        text.data++;
        text.n_bytes--;
    }
    while (text.n_bytes && isspace((unsigned char)text.data[text.n_bytes - 1])) text.n_bytes--;
    for (size_t i = 0; i < SC_COUNT(words); i++)
        if (sc_text_is(text, words[i][0])) text = sc_text_of(words[i][1]);
    bool is_string;
    if (type != SC_VALUE_STRING && is_json(text, &is_string) && (type == SC_VALUE_JSON || !is_string)) {
        write_json(out, text);
        return;
    }
    sc_buffer_append_char(out, '"');
    sc_json_escape(out, all.data, all.n_bytes);
    sc_buffer_append_char(out, '"');
}

// Takes n bytes of a value.
static void take_value(struct sc_answer *a, size_t n)
{
    const char *text = sc_answer_left(a).data;
    if (a->value_type == SC_VALUE_STRING) emit_string(a, text, n);
    else sc_buffer_append(&a->value, text, n);
    take(a, n);
}

static bool end_value(struct sc_answer *a, size_t at)
{
    const struct sc_answer_tags *tags = a->syntax->tags;
    bool newline = tags->newlines && at > 0 && sc_answer_left(a).data[at - 1] == '\n';
    take_value(a, at - newline);
    take(a, newline + strlen(tags->value_end));
    a->phase = SC_PHASE_PARAMETERS;
    if (a->value_type == SC_VALUE_STRING) {
        emit(a, "\"", 1);
        return true;
    }
    sc_buffer_clear(&a->out);
    sc_answer_write_value(&a->out, (struct sc_text){ a->value.data ? a->value.data : "", a->value.n_bytes },
                          a->value_type);
    emit(a, a->out.data, a->out.n_bytes);
    return true;
}

// The answer stops in a value: a string is as long as it came; what was kept back of another is text.
static bool stop_in_value(struct sc_answer *a)
{
    if (a->value_type == SC_VALUE_STRING) take_value(a, sc_answer_left(a).n_bytes);
    sc_answer_end_call(a, false);
    if (a->value_type != SC_VALUE_STRING && a->value.n_bytes)
        sc_answer_emit(a, SC_ANSWER_TEXT, a->value.data, a->value.n_bytes);
    return true;
}

bool sc_answer_step_value(struct sc_answer *a)
{
    const struct sc_answer_tags *tags = a->syntax->tags;
    struct sc_text text = sc_answer_left(a);
    if (a->at_value_start && text.n_bytes) {
        a->at_value_start = false;
        take(a, tags->newlines && text.data[0] == '\n');
        text = sc_answer_left(a);
    }
    size_t n = text.n_bytes;
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char *first = memchr(text.data + i, tags->value_end[0], text.n_bytes - i);
        if (!first) break;
        i = (size_t)(first - text.data);
        enum sc_read is = sc_text_has_mark(text, i, tags->value_end);
        if (is == SC_READ_OK) return end_value(a, i);
        if (is == SC_READ_BROKEN) continue;
        n = i;
        break;
    }
    if (a->finished) return stop_in_value(a);
    if (tags->newlines && n > 0 && text.data[n - 1] == '\n') n--;
    take_value(a, n);
    return false;
}
