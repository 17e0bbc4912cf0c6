// Breaking text into lines: the filter `wordwrap`.
//
// A line is cut into chunks - white space, words, parts of hyphenated words - which are then put into lines as they
// fit. White space at a line's end is dropped, and at the beginning of every line but the first.
#include "text/template_internal.h"

#include <string.h>

struct points {
    uint32_t *items;
    size_t *offsets; // [n + 1], in bytes
    size_t n;
    size_t rest_end; // of a long word that is being broken: where it ends
};

static bool is_blank(uint32_t point) { return point == ' ' || (point >= '\t' && point <= '\r'); }

static bool is_letter(uint32_t point)
{
    return sc_template_is_word(point) && !(point >= '0' && point <= '9') && point != '_';
}

static bool is_word_mark(uint32_t point)
{
    return sc_template_is_word(point) || (point && point < 0x80 && strchr("!\"'&.,?", (int)point));
}

// The end of a run of two hyphens or more at i that a word follows; 0: there is none.
static size_t dash_end(const struct points *points, size_t i)
{
    size_t end = i;
    while (end < points->n && points->items[end] == '-') end++;
    return end >= i + 2 && end < points->n && sc_template_is_word(points->items[end]) ? end : 0;
}

// May a word be broken after the hyphen at i?
static bool is_soft_hyphen(const struct points *points, size_t i)
{
    const uint32_t *at = points->items;
    if (at[i] != '-' || i < 2 || i + 2 >= points->n) return false;
    bool after_letters = is_letter(at[i - 1]) && is_letter(at[i - 2]);
    bool after_dashed = i >= 3 && is_letter(at[i - 3]) && at[i - 2] == '-' && is_word_mark(at[i - 1]);
    if (!after_letters && !after_dashed) return false;
    if (!is_letter(at[i + 1])) return false;
    return is_letter(at[i + 2]) || (at[i + 2] == '-' && i + 3 < points->n && is_letter(at[i + 3]));
}

static size_t chunk_end(const struct points *points, size_t i, bool breaks_hyphens)
{
    size_t dash;
    if (i < points->rest_end) return points->rest_end;
    if (is_blank(points->items[i])) {
        while (i < points->n && is_blank(points->items[i])) i++;
        return i;
    }
    if (breaks_hyphens && i && is_word_mark(points->items[i - 1]) && (dash = dash_end(points, i))) return dash;
    for (i++; i < points->n && !is_blank(points->items[i]); i++) {
        if (!breaks_hyphens) continue;
        if (is_soft_hyphen(points, i)) return i + 1;
        if (points->items[i] == '-' && is_word_mark(points->items[i - 1]) && points->items[i - 1] != '-' &&
            dash_end(points, i))
            return i;
    }
    return i;
}

static bool read_points(struct run *run, struct sc_text line, struct points *out)
{
    out->items = sc_template_alloc(run, line.n_bytes + 1, sizeof *out->items);
    out->offsets = sc_template_alloc(run, line.n_bytes + 1, sizeof *out->offsets);
    if (!out->items || !out->offsets || !sc_template_step_bytes(run, line.n_bytes * 4)) return false;
    out->n = 0;
    for (size_t i = 0, n; i < line.n_bytes; i += n) {
        out->offsets[out->n] = i;
        out->items[out->n++] = sc_template_point(line.data + i, &n);
    }
    out->offsets[out->n] = line.n_bytes;
    return true;
}

// Where a word that is too long is broken: after its last hyphen that fits, or at the width.
static size_t break_long(const struct points *points, size_t begin, size_t end, size_t room, bool breaks_hyphens)
{
    size_t stop = begin + room;
    if (breaks_hyphens && end - begin > room) {
        size_t hyphen = stop;
        while (hyphen > begin && points->items[hyphen - 1] != '-') hyphen--;
        // Hyphens alone at the beginning are no place to break.
        bool has_other = false;
        for (size_t i = begin; i + 1 < hyphen; i++) has_other = has_other || points->items[i] != '-';
        if (hyphen > begin + 1 && has_other) return hyphen;
    }
    return stop;
}

// One line from the chunks at *at on: its text is begin..end in points, and *at moves behind it.
static void fill_line(struct points *points, const struct sc_template_wrap *wrap, bool is_first, size_t *at,
                      size_t *begin, size_t *end)
{
    size_t width = (size_t)wrap->width;
    if (!is_first && is_blank(points->items[*at])) *at = chunk_end(points, *at, wrap->breaks_hyphens);
    *begin = *end = *at;
    size_t last = *at;
    while (*at < points->n) {
        size_t next = chunk_end(points, *at, wrap->breaks_hyphens);
        if (next - *begin > width) {
            if (next - *at > width && (wrap->breaks_long || *at == *begin)) {
                size_t room = width - (*at - *begin);
                last = *at;
                points->rest_end = next;
                *at = wrap->breaks_long ? break_long(points, *at, next, room, wrap->breaks_hyphens) : next;
            }
            break;
        }
        last = *at;
        *at = next;
    }
    *end = *at;
    if (last < *end && is_blank(points->items[last])) *end = last; // white space at the end
}

bool sc_template_wrap_line(struct run *run, const struct sc_template_wrap *wrap, struct sc_text line)
{
    struct points points = { 0 };
    bool is_first = true;
    if (!read_points(run, line, &points)) return false;
    for (size_t at = 0, begin, end; at < points.n;) {
        size_t before = at;
        fill_line(&points, wrap, is_first, &at, &begin, &end);
        if (at == before) return sc_template_fail(run, "a line that cannot be wrapped");
        if (!sc_template_step(run, 1)) return false;
        if (begin == end) continue;
        if (!is_first && !sc_template_write(run, wrap->separator->data, wrap->separator->n_bytes)) return false;
        is_first = false;
        size_t from = points.offsets[begin];
        if (!sc_template_write(run, line.data + from, points.offsets[end] - from)) return false;
    }
    return true;
}
