// Reading what is inside of values: attributes, items, slices.
//
// "a.b" looks for an attribute first and for the item 'b' then; "a['b']" the other way round. Attributes are those of
// plain data and nothing else: methods from the tables, and the variables of a loop.
#include "text/template_internal.h"

#include <string.h>

#include "text/template_syntax.h"

static bool loop_position(const struct loop *loop, struct sc_text name, struct value *out)
{
    int64_t index = (int64_t)loop->index;
    if (sc_text_is(name, "index")) *out = sc_template_int(index + 1);
    else if (sc_text_is(name, "index0")) *out = sc_template_int(index);
    else if (sc_text_is(name, "first")) *out = sc_template_bool(index == 0);
    else if (sc_text_is(name, "depth")) *out = sc_template_int((int64_t)loop->depth + 1);
    else if (sc_text_is(name, "depth0")) *out = sc_template_int((int64_t)loop->depth);
    return out->kind != VALUE_ABSENT;
}

static bool loop_attribute(struct run *run, struct loop *loop, struct sc_text name, struct value *out)
{
    if (loop_position(loop, name, out)) return true;
    bool needs_length = sc_text_is(name, "length") || sc_text_is(name, "revindex") || sc_text_is(name, "revindex0");
    bool needs_next = sc_text_is(name, "last") || sc_text_is(name, "nextitem");
    if (needs_length && !sc_template_loop_fill(run, loop, SIZE_MAX)) return false;
    if (needs_next && !sc_template_loop_fill(run, loop, loop->index + 2)) return false;
    int64_t n_left = (int64_t)loop->items->n - (int64_t)loop->index;
    const struct value *items = loop->items->items;
    if (sc_text_is(name, "length")) *out = sc_template_int((int64_t)loop->items->n);
    else if (sc_text_is(name, "revindex")) *out = sc_template_int(n_left);
    else if (sc_text_is(name, "revindex0")) *out = sc_template_int(n_left - 1);
    else if (sc_text_is(name, "last")) *out = sc_template_bool(n_left <= 1);
    else if (sc_text_is(name, "nextitem")) {
        if (n_left <= 1) return sc_template_undefined_hint(run, "there is no next item", out);
        *out = items[loop->index + 1];
    } else if (sc_text_is(name, "previtem")) {
        if (loop->index == 0) return sc_template_undefined_hint(run, "there is no previous item", out);
        *out = items[loop->index - 1];
    }
    return true;
}

static bool namespace_attribute(struct run *run, const struct dict *members, struct sc_text name, struct value *out)
{
    struct value *there = sc_template_dict_find_text(run, members, name.data, name.n_bytes);
    if (there) *out = *there;
    return true;
}

static bool macro_attribute(struct run *run, const struct macro *macro, struct sc_text name, struct value *out)
{
    const struct signature *signature = &macro->node->macro.signature;
    if (sc_text_is(name, "name")) *out = (struct value){ .kind = VALUE_STRING, .string = macro->node->macro.name };
    else if (sc_text_is(name, "caller")) *out = sc_template_bool(signature->takes_caller);
    else if (sc_text_is(name, "catch_kwargs")) *out = sc_template_bool(signature->takes_named);
    else if (sc_text_is(name, "catch_varargs")) *out = sc_template_bool(signature->takes_any);
    else if (sc_text_is(name, "arguments")) {
        struct list *list = sc_template_list_new(run, signature->n);
        if (!list) return false;
        for (size_t i = 0; i < signature->n; i++)
            if (!sc_template_list_push(run, list,
                                       (struct value){ .kind = VALUE_STRING, .string = signature->items[i].name }))
                return false;
        *out = sc_template_tuple(list);
    }
    return true;
}

static const struct native *methods_of(struct value object)
{
    switch (object.kind) {
    case VALUE_STRING: return sc_template_methods_string;
    case VALUE_LIST: return sc_template_methods_list;
    case VALUE_TUPLE:
    case VALUE_RANGE: return sc_template_methods_tuple;
    case VALUE_DICT: return sc_template_methods_dict;
    case VALUE_LOOP: return sc_template_methods_loop;
    case VALUE_CYCLER: return sc_template_methods_cycler;
    default: return NULL;
    }
}

static bool bind_method(struct run *run, struct value object, const struct native *native, const struct string *name,
                        struct value *out)
{
    if (!native->call) {
        struct undefined refused = { .type_name = sc_template_type_name(object),
                                     .is_refused = true,
                                     .name = { .kind = VALUE_STRING, .string = name } };
        return sc_template_undefined(run, refused, out);
    }
    struct method *method = sc_template_alloc(run, 1, sizeof *method);
    if (!method) return false;
    *method = (struct method){ object, native };
    *out = (struct value){ .kind = VALUE_METHOD, .method = method };
    return true;
}

// What an object has besides its items; *out stays absent when it has nothing of that name.
static bool own_attribute(struct run *run, struct value object, const struct string *name, struct value *out)
{
    struct sc_text text = { name->data, name->n_bytes };
    *out = (struct value){ 0 };
    if (text.n_bytes > 4 && memcmp(text.data, "__", 2) == 0 && memcmp(text.data + text.n_bytes - 2, "__", 2) == 0) {
        struct undefined refused = { .type_name = sc_template_type_name(object),
                                     .is_refused = true,
                                     .name = { .kind = VALUE_STRING, .string = name } };
        return sc_template_undefined(run, refused, out);
    }
    const struct native *methods = methods_of(object);
    const struct native *native = methods ? sc_template_native_find(methods, text.data, text.n_bytes) : NULL;
    if (!native && object.kind == VALUE_STRING)
        native = sc_template_native_find(sc_template_methods_string_ask, text.data, text.n_bytes);
    if (native) return bind_method(run, object, native, name, out);
    if (object.kind == VALUE_LOOP) return loop_attribute(run, object.loop, text, out);
    if (object.kind == VALUE_NAMESPACE) return namespace_attribute(run, object.dict, text, out);
    if (object.kind == VALUE_MACRO) return macro_attribute(run, object.macro, text, out);
    if (object.kind == VALUE_TUPLE && object.list->is_group) {
        if (sc_text_is(text, "grouper")) *out = object.list->items[0];
        if (sc_text_is(text, "list")) *out = object.list->items[1];
    }
    if (object.kind == VALUE_CYCLER && sc_text_is(text, "current"))
        *out = object.cycler->items->items[object.cycler->position];
    if (object.kind == VALUE_RANGE) {
        if (sc_text_is(text, "start")) *out = sc_template_int(object.range->start);
        if (sc_text_is(text, "stop")) *out = sc_template_int(object.range->stop);
        if (sc_text_is(text, "step")) *out = sc_template_int(object.range->step);
    }
    if (sc_template_is_integer(object)) {
        int64_t integer = object.kind == VALUE_BOOL ? object.boolean : object.integer;
        if (sc_text_is(text, "real") || sc_text_is(text, "numerator")) *out = sc_template_int(integer);
        if (sc_text_is(text, "imag")) *out = sc_template_int(0);
        if (sc_text_is(text, "denominator")) *out = sc_template_int(1);
    }
    if (object.kind == VALUE_FLOAT) {
        if (sc_text_is(text, "real")) *out = object;
        if (sc_text_is(text, "imag")) *out = sc_template_float(0);
    }
    return true;
}

static bool character_at(struct run *run, const struct string *string, size_t index, struct value *out)
{
    if (string->n_bytes != string->n_points && !sc_template_step_bytes(run, index)) return false;
    size_t at = sc_template_point_offset(string, index), n;
    sc_template_point(string->data + at, &n);
    return sc_template_substring(run, string, at, at + n, out);
}

// An item; *out stays absent when there is none.
static bool own_item(struct run *run, struct value object, struct value key, struct value *out)
{
    *out = (struct value){ 0 };
    if (object.kind == VALUE_DICT) {
        struct value *there = NULL;
        if (sc_template_is_hashable(key) && !sc_template_dict_find(run, object.dict, key, &there)) return false;
        if (there) *out = *there;
        return true;
    }
    if (!sc_template_is_integer(key)) return true;
    int64_t index = key.kind == VALUE_BOOL ? key.boolean : key.integer, n;
    if (object.kind != VALUE_LIST && object.kind != VALUE_TUPLE && object.kind != VALUE_STRING &&
        object.kind != VALUE_RANGE)
        return true;
    if (!sc_template_length(run, object, &n)) return false;
    if (index < 0) index += n;
    if (index < 0 || index >= n) return true;
    if (object.kind == VALUE_STRING) return character_at(run, object.string, (size_t)index, out);
    if (object.kind == VALUE_RANGE) *out = sc_template_int(object.range->start + index * object.range->step);
    else *out = object.list->items[index];
    return true;
}

static bool missing(struct run *run, struct value object, struct value key, struct value *out)
{
    if (out->kind != VALUE_ABSENT) return true;
    return sc_template_undefined(run, (struct undefined){ .type_name = sc_template_object_name(object), .name = key },
                                 out);
}

bool sc_template_attribute(struct run *run, struct value object, const struct string *name, struct value *out)
{
    struct value key = { .kind = VALUE_STRING, .string = name };
    if (object.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, object);
    if (object.kind == VALUE_DICT && name->n_bytes > 1 && name->data[0] != '_') {
        // The usual case: an input's member that is no method.
        struct value *there = sc_template_dict_find_text(run, object.dict, name->data, name->n_bytes);
        if (there && !sc_template_native_find(sc_template_methods_dict, name->data, name->n_bytes)) {
            *out = *there;
            return true;
        }
    }
    if (!own_attribute(run, object, name, out)) return false;
    if (out->kind == VALUE_ABSENT && !own_item(run, object, key, out)) return false;
    return missing(run, object, key, out);
}

bool sc_template_item(struct run *run, struct value object, struct value key, struct value *out)
{
    if (object.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, object);
    if (!own_item(run, object, key, out)) return false;
    if (out->kind == VALUE_ABSENT && key.kind == VALUE_STRING && !own_attribute(run, object, key.string, out))
        return false;
    return missing(run, object, key, out);
}

int64_t sc_template_clamp_index(int64_t index, int64_t n)
{
    if (index < 0) index = index < -n ? 0 : index + n;
    return SC_MIN(index, n);
}

// start, stop and step of a slice of n items, as Python works them out; how many items it takes.
static bool slice_bounds(struct run *run, const struct value bounds[3], int64_t n, struct range *out)
{
    for (int i = 0; i < 3; i++)
        if (bounds[i].kind != VALUE_NONE && !sc_template_is_integer(bounds[i]))
            return sc_template_fail(run, "slice indices must be integers or None, not '%s'",
                                    sc_template_type_name(bounds[i]));
    struct value step = bounds[2].kind == VALUE_NONE ? sc_template_int(1) : bounds[2];
    if (!sc_template_arg_int(run, step, 1, &out->step)) return false;
    if (out->step == 0) return sc_template_fail(run, "slice step cannot be zero");
    bool back = out->step < 0;
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n, ends[2] = { back ? high : low, back ? low : high };
    for (int i = 0; i < 2; i++) {
        if (bounds[i].kind == VALUE_NONE) continue;
        int64_t index = bounds[i].kind == VALUE_BOOL ? bounds[i].boolean : bounds[i].integer;
        if (index < 0) index = index < -n ? -1 : index + n;
        ends[i] = SC_MIN(SC_MAX(index, low), high);
    }
    out->start = ends[0];
    out->stop = ends[1];
    out->n = 0;
    if (!back && ends[1] > ends[0]) out->n = (ends[1] - ends[0] - 1) / out->step + 1;
    // The step may be the smallest number there is, which has no opposite.
    if (back && ends[0] > ends[1])
        out->n = (int64_t)((uint64_t)(ends[0] - ends[1] - 1) / (0 - (uint64_t)out->step)) + 1;
    return true;
}

static bool slice_string(struct run *run, const struct string *string, const struct range *slice, struct value *out)
{
    if (!sc_template_step_bytes(run, string->n_bytes)) return false;
    if (slice->n == 0) return sc_template_string_view(run, "", 0, out);
    if (slice->step == 1) {
        size_t begin = sc_template_point_offset(string, (size_t)slice->start), end = string->n_bytes;
        if ((size_t)slice->stop < string->n_points) end = sc_template_point_offset(string, (size_t)slice->stop);
        return sc_template_substring(run, string, begin, end, out);
    }
    const struct list *characters;
    struct value whole = { .kind = VALUE_STRING, .string = string };
    size_t begin = sc_template_text_begin(run);
    if (!sc_template_items(run, whole, &characters)) return false;
    for (int64_t i = 0; i < slice->n; i++) {
        const struct string *character = characters->items[slice->start + i * slice->step].string;
        if (!sc_template_write(run, character->data, character->n_bytes)) return false;
    }
    return sc_template_text_end(run, begin, out);
}

static bool slice_range(struct run *run, const struct range *from, const struct range *slice, struct value *out)
{
    struct range *range = sc_template_alloc(run, 1, sizeof *range);
    if (!range) return false;
    int64_t offset;
    range->n = slice->n;
    if (__builtin_mul_overflow(slice->step, from->step, &range->step) ||
        __builtin_mul_overflow(slice->start, from->step, &offset) ||
        __builtin_add_overflow(from->start, offset, &range->start) ||
        __builtin_mul_overflow(slice->stop, from->step, &offset) ||
        __builtin_add_overflow(from->start, offset, &range->stop))
        return sc_template_fail(run, "a whole number that does not fit 64 bits");
    *out = (struct value){ .kind = VALUE_RANGE, .range = range };
    return true;
}

bool sc_template_slice(struct run *run, struct value object, const struct value bounds[3], struct value *out)
{
    int64_t n;
    struct range slice = { 0 };
    if (object.kind == VALUE_UNDEFINED) return sc_template_fail_undefined(run, object);
    if (object.kind == VALUE_DICT) return sc_template_fail(run, "unhashable type: 'slice'");
    if (object.kind != VALUE_STRING && object.kind != VALUE_LIST && object.kind != VALUE_TUPLE &&
        object.kind != VALUE_RANGE)
        return sc_template_fail(run, "'%s' object is not subscriptable", sc_template_type_name(object));
    if (!sc_template_length(run, object, &n) || !slice_bounds(run, bounds, n, &slice)) return false;
    if (object.kind == VALUE_STRING) return slice_string(run, object.string, &slice, out);
    if (object.kind == VALUE_RANGE) return slice_range(run, object.range, &slice, out);
    struct list *list = sc_template_list_new(run, (size_t)slice.n);
    if (!list || !sc_template_step(run, (uint64_t)slice.n / 8)) return false;
    for (int64_t i = 0; i < slice.n; i++)
        if (!sc_template_list_push(run, list, object.list->items[slice.start + i * slice.step])) return false;
    *out = (struct value){ .kind = object.kind, .list = list };
    return true;
}

bool sc_template_path(struct run *run, struct value object, struct value path, struct value otherwise,
                      struct value *out)
{
    *out = object;
    if (path.kind == VALUE_ABSENT || path.kind == VALUE_NONE) return true;
    if (path.kind != VALUE_STRING) {
        if (!sc_template_item(run, object, path, out)) return false;
        if (out->kind == VALUE_UNDEFINED && otherwise.kind != VALUE_ABSENT && otherwise.kind != VALUE_NONE)
            *out = otherwise;
        return true;
    }
    struct sc_text rest = { path.string->data, path.string->n_bytes };
    for (bool is_last = false; !is_last;) {
        const char *dot = rest.n_bytes ? memchr(rest.data, '.', rest.n_bytes) : NULL;
        size_t n = dot ? (size_t)(dot - rest.data) : rest.n_bytes, n_digits = 0;
        struct value key;
        int64_t index;
        while (n_digits < n && rest.data[n_digits] >= '0' && rest.data[n_digits] <= '9') n_digits++;
        if (n && n_digits == n && sc_template_parse_int((struct sc_text){ rest.data, n }, 10, &index))
            key = sc_template_int(index);
        else if (!sc_template_string_view(run, rest.data, n, &key)) return false;
        if (!sc_template_item(run, *out, key, out)) return false;
        if (out->kind == VALUE_UNDEFINED && otherwise.kind != VALUE_ABSENT && otherwise.kind != VALUE_NONE)
            *out = otherwise;
        is_last = !dot;
        rest.data += n + 1;
        rest.n_bytes -= dot ? n + 1 : n;
    }
    return true;
}
