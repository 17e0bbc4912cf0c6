// One rendering's bounds, memory, failures and text.
#include "text/template_internal.h"

#include <stdio.h>
#include <string.h>

bool sc_template_fail(struct run *run, const char *format, ...)
{
    char sentence[sizeof run->err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (run->line) sc_fail(run->err, SOCLE_BAD_TEMPLATE, "template line %u: %s", run->line, sentence);
    else sc_fail(run->err, SOCLE_BAD_TEMPLATE, "template: %s", sentence);
    return false;
}

bool sc_template_step(struct run *run, uint64_t n)
{
    uint64_t max = run->options.limits.n_steps_max;
    if (n > max || run->n_steps > max - n)
        return sc_template_fail(run, "the template takes more than %llu steps (n_steps_max)", (unsigned long long)max);
    run->n_steps += n;
    return true;
}

bool sc_template_step_bytes(struct run *run, size_t n) { return sc_template_step(run, n / 64 + 1); }

bool sc_template_enter(struct run *run)
{
    if (run->depth >= run->options.limits.depth_max)
        return sc_template_fail(run, "more than %u values, expressions or statements inside each other (depth_max)",
                                run->options.limits.depth_max);
    run->depth++;
    return true;
}

void *sc_template_alloc(struct run *run, size_t n, size_t size)
{
    void *memory = sc_arena_array(&run->arena, n, size);
    if (!memory)
        sc_template_fail(run, "the template needs more than %zu bytes of memory (memory_bytes_max)",
                         run->arena.max_bytes);
    return memory;
}

void *sc_template_extend(struct run *run, const void *data, size_t n_bytes, size_t n_more)
{
    size_t oldest = 0;
    for (size_t i = 0; i < SC_COUNT(run->tails); i++) {
        if (run->tails[i].last_use < run->tails[oldest].last_use) oldest = i;
        if (!n_bytes || !run->tails[i].data || n_more > run->tails[i].capacity - run->tails[i].used) continue;
        char *end = run->tails[i].data + run->tails[i].used;
        if ((const char *)data + n_bytes != end) continue;
        run->tails[i].used += n_more;
        run->tails[i].last_use = run->n_steps;
        return end - n_bytes;
    }
    if (n_bytes > SIZE_MAX / 4 || n_more > SIZE_MAX / 4) return sc_template_alloc(run, SIZE_MAX, 1);
    size_t n = n_bytes + n_more, capacity = n < 256 ? n : n * 2;
    char *copy = sc_template_alloc(run, capacity, 1);
    if (!copy || !sc_template_step_bytes(run, n)) return NULL;
    if (n_bytes) memcpy(copy, data, n_bytes);
    if (capacity == n) return copy; // too little to be worth remembering
    run->tails[oldest].data = copy;
    run->tails[oldest].used = n;
    run->tails[oldest].capacity = capacity;
    run->tails[oldest].last_use = run->n_steps;
    return copy;
}

static bool output_failed(struct run *run)
{
    return sc_template_fail(run, "the template makes more than %zu bytes of text (output_bytes_max)",
                            run->output.max_bytes);
}

bool sc_template_write(struct run *run, const char *bytes, size_t n_bytes)
{
    if (n_bytes >= 1024 && !sc_template_step_bytes(run, n_bytes)) return false;
    return sc_buffer_append(&run->output, bytes, n_bytes) || output_failed(run);
}

bool sc_template_write_string(struct run *run, const char *text) { return sc_template_write(run, text, strlen(text)); }

bool sc_template_write_repeated(struct run *run, const struct string *unit, size_t n)
{
    uint64_t n_bytes;
    if (!sc_u64_mul(n, unit->n_bytes, &n_bytes) || n_bytes > run->output.max_bytes) return output_failed(run);
    if (!sc_template_step_bytes(run, (size_t)n_bytes)) return false;
    for (size_t i = 0; i < n && unit->n_bytes; i++)
        if (!sc_buffer_append(&run->output, unit->data, unit->n_bytes)) return output_failed(run);
    return true;
}

size_t sc_template_text_begin(const struct run *run) { return run->output.n_bytes; }

bool sc_template_text_end(struct run *run, size_t begin, struct value *out)
{
    size_t n_bytes = run->output.n_bytes - begin;
    if (!sc_template_string_copy(run, n_bytes ? run->output.data + begin : "", n_bytes, out)) return false;
    run->output.n_bytes = begin;
    if (run->output.data) run->output.data[begin] = '\0';
    return true;
}
