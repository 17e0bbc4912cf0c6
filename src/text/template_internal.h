// What the files of the template interpreter share: values, one rendering, and the operations on both.
//
// Values are those of Python that a template can meet. Everything but a namespace, a loop and an iterator is immutable
// once made, so values are passed by copy and share their contents freely. All memory comes from the arena of the
// rendering (or of the parsed template, for constants) and is released with it.
//
// Functions that can fail return false after sc_template_fail; nothing needs to be undone then, the rendering is over.
#ifndef SC_TEXT_TEMPLATE_INTERNAL_H
#define SC_TEXT_TEMPLATE_INTERNAL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/size.h"
#include "base/text.h"
#include "text/template.h"

enum value_kind {
    VALUE_ABSENT, // no value: an argument that was not given
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_VIEW, // dict.keys(), dict.values(), dict.items()
    VALUE_RANGE,
    VALUE_ITERATOR, // what a filter such as `map` gives: can be walked through once
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_METHOD,   // a native bound to its object
    VALUE_FUNCTION, // a native
    VALUE_CYCLER,
    VALUE_JOINER,
};

struct value {
    enum value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const struct string *string;
        const struct list *list; // list, tuple
        struct dict *dict;       // dict, namespace
        const struct view *view;
        const struct range *range;
        struct iterator *iterator;
        const struct undefined *undefined;
        const struct macro *macro;
        struct loop *loop;
        const struct method *method;
        const struct native *function;
        struct cycler *cycler; // cycler, joiner
    };
};

// Well-formed UTF-8.
struct string {
    const char *data;
    size_t n_bytes, n_points;
    bool is_markup; // came from `safe` or `escape`: adding to it escapes what is added
};

struct list {
    struct value *items;
    size_t n, capacity;
    bool is_group; // a tuple of `groupby`, whose items have the names grouper and list
};

struct dict_entry {
    struct value key, value;
    uint64_t hash;
};

// Keeps insertion order. Past a few entries, `index` maps hashes to entries (open addressing, entry number + 1).
struct dict {
    struct dict_entry *entries;
    size_t n, capacity;
    uint32_t *index;
    size_t n_index; // a power of two, or 0
};

enum view_kind { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };

struct view {
    enum view_kind kind;
    const struct dict *dict;
};

struct range {
    int64_t start, stop, step, n;
};

struct iterator {
    const struct list *rest; // what was not taken yet begins at `position`
    size_t position;
};

// Why a value is undefined, for the message when something needs it: the hint, or "`type_name` has no `name`", or
// "`name` is undefined".
struct undefined {
    const char *hint;
    const char *type_name;
    struct value name;
    bool is_refused;   // an attribute that the sandbox keeps away
    bool is_parameter; // of a macro, which was called without it
};

struct method {
    struct value self;
    const struct native *native;
};

struct cycler {
    const struct list *items;
    size_t position;
    struct value separator; // of a joiner
};

struct binding {
    const struct string *name; // interned by the parser: equal names are the same pointer
    struct value value;
};

struct scope {
    struct scope *parent;
    struct binding *bindings;
    size_t n, capacity;
};

struct node;
struct nodes;

struct macro {
    const struct node *node; // NODE_MACRO or NODE_CALL_BLOCK
    struct scope *scope;     // where it was defined
};

// A loop at work. Where it has a condition, items are tried only when something asks for them, as the body may change
// what the condition looks at.
struct loop {
    struct list *items; // that the loop visits, as far as is known
    size_t index;
    const struct list *source; // with a condition: what the items are chosen from; NULL when all are known
    size_t position;           // in the source
    uint32_t depth;            // of recursion, from 0
    const struct node *node;
    struct scope *scope;    // around the loop
    bool has_finished_turn; // one came to its end, without break or continue: `else` is not for this loop
    struct value changed;   // the last arguments of loop.changed
};

struct named_value {
    const struct string *name;
    struct value value;
};

// Arguments as they were written, with *args and **kwargs unpacked.
struct arguments {
    struct value *positional;
    size_t n_positional;
    struct named_value *named;
    size_t n_named;
};

enum { PARAMETERS_MAX = 6 };

// One call of a native.
struct call {
    struct value self;                 // left of the pipe, of `is`, or of the dot
    struct value args[PARAMETERS_MAX]; // by parameter; VALUE_ABSENT where not given
    const struct arguments *given;     // for natives that take any number
};

struct run;
typedef bool native_call(struct run *run, struct call *call, struct value *out);

// A filter, test, method or global function: one row of a table, which ends with a row without a name.
struct native {
    const char *name;
    native_call *call;      // NULL: a method that the sandbox refuses
    const char *parameters; // names with spaces between; "!" after one that must be given; "*" last: any more
};

// One rendering.
struct run {
    struct sc_arena arena;
    struct sc_template_options options;
    socle_error *err;
    uint64_t n_steps;
    uint32_t depth, line;
    const struct sc_template *template;
    struct scope *scope, *root;
    struct value piped; // what a filter block's filters begin with
    const struct dict *inputs;
    const struct string *characters[128]; // strings of one ASCII character
    // The text so far. Text under construction goes to its end, too: see sc_template_text_begin.
    struct sc_buffer output;
    // Memory that ends with room to spare: see sc_template_extend.
    struct {
        char *data;
        size_t used, capacity;
        uint64_t last_use;
    } tails[4];
};

// template_run.c: failing, bounds, memory.
__attribute__((format(printf, 2, 3))) bool sc_template_fail(struct run *run, const char *format, ...);
bool sc_template_step(struct run *run, uint64_t n);              // counts n steps
bool sc_template_step_bytes(struct run *run, size_t n);          // the steps that work on n bytes of text counts for
bool sc_template_enter(struct run *run);                         // one level deeper; the caller does run->depth-- after
void *sc_template_alloc(struct run *run, size_t n, size_t size); // zeroed array; NULL after failing
// A copy of data[0..n) with room for n_more bytes behind it. Where the data end in memory that was extended before and
// has room left, nothing is copied: values are immutable, so the old one and its continuation may share their
// beginning. So text and lists that a template builds by adding to them take linear time. NULL after failing.
void *sc_template_extend(struct run *run, const void *data, size_t n_bytes, size_t n_more);
bool sc_template_write(struct run *run, const char *bytes, size_t n_bytes);
bool sc_template_write_string(struct run *run, const char *text);
bool sc_template_write_repeated(struct run *run, const struct string *unit, size_t n);
// Text made piece by piece: whatever is written after `begin` becomes a string at `end`, and leaves the output.
size_t sc_template_text_begin(const struct run *run);
bool sc_template_text_end(struct run *run, size_t begin, struct value *out);

// template_value.c: making values and asking about them.
struct value sc_template_bool(bool boolean);
struct value sc_template_int(int64_t integer);
struct value sc_template_float(double real);
struct value sc_template_none(void);
bool sc_template_size(struct run *run, size_t n, struct value *out);
struct string *sc_template_string_new(struct sc_arena *arena, const char *data, size_t n_bytes);    // does not copy
bool sc_template_string_view(struct run *run, const char *data, size_t n_bytes, struct value *out); // nor does this
bool sc_template_string_copy(struct run *run, const char *data, size_t n_bytes, struct value *out);
bool sc_template_undefined(struct run *run, struct undefined undefined, struct value *out);
bool sc_template_undefined_hint(struct run *run, const char *hint, struct value *out);
bool sc_template_fail_undefined(struct run *run, struct value value); // with the message of an undefined value
struct list *sc_template_list_new(struct run *run, size_t capacity);
bool sc_template_list_push(struct run *run, struct list *list, struct value value);
struct value sc_template_list(const struct list *list);
struct value sc_template_tuple(const struct list *list);
bool sc_template_pair(struct run *run, struct value first, struct value second, struct value *out); // a tuple
bool sc_template_iterator(struct run *run, const struct list *list, struct value *out);
const char *sc_template_type_name(struct value value);   // "str", "dict", ... as Python names them
const char *sc_template_object_name(struct value value); // "dict object", "None": as messages name them
bool sc_template_is_number(struct value value);          // int, float, bool
bool sc_template_is_integer(struct value value);         // int, bool
double sc_template_real(struct value value);             // of a number
bool sc_template_truth(struct value value);
bool sc_template_length(struct run *run, struct value value, int64_t *out); // fails without one
bool sc_template_is_iterable(struct value value);
// All items of an iterable, as `for` would see them; fails on anything else. Uses an iterator up.
bool sc_template_items(struct run *run, struct value value, const struct list **out);

// template_dict.c
struct dict *sc_template_dict_new(struct run *run, size_t capacity);
bool sc_template_dict_set(struct run *run, struct dict *dict, struct value key, struct value value);
// *out is NULL when the key is not there. Fails for a key that cannot be hashed.
bool sc_template_dict_find(struct run *run, const struct dict *dict, struct value key, struct value **out);
struct value *sc_template_dict_find_text(struct run *run, const struct dict *dict, const char *key, size_t n_bytes);
bool sc_template_dict_copy(struct run *run, const struct dict *from, struct dict *to);
bool sc_template_is_hashable(struct value value);
bool sc_template_dict_from_pairs(struct run *run, struct value pairs, struct dict *dict); // a mapping or pairs
struct value sc_template_dict(struct dict *dict);

// template_compare.c
bool sc_template_equal(struct run *run, struct value a, struct value b, bool *out);
bool sc_template_compare(struct run *run, const char *op, struct value a, struct value b,
                         int *out); // <0, 0, >0; 2: unordered
bool sc_template_contains(struct run *run, struct value container, struct value item, bool *out);
// Sorts stably. keys[i] belongs to items[i]; NULL: the items are their own keys.
bool sc_template_sort(struct run *run, struct list *items, const struct value *keys, bool is_reversed);

// template_print.c: str() and repr().
bool sc_template_print(struct run *run, struct value value); // str() to the output
bool sc_template_print_repr(struct run *run, struct value value);
bool sc_template_str(struct run *run, struct value value, const struct string **out);
size_t sc_template_float_text(double real, char out[32]);           // repr() of a float
bool sc_template_print_pretty(struct run *run, struct value value); // template_pretty.c: the filter `pprint`
bool sc_template_print_json(struct run *run, struct call *call);    // template_json.c: arguments as `tojson` takes them

// template_text.c: code points.
size_t sc_template_point_offset(const struct string *string, size_t index); // in bytes; index <= n_points
bool sc_template_substring(struct run *run, const struct string *string, size_t begin, size_t end,
                           struct value *out); // bytes begin..end, on boundaries of characters; shares the text
uint32_t sc_template_point(const char *at, size_t *n_bytes);
bool sc_template_is_space(uint32_t point); // str.isspace
bool sc_template_is_word(uint32_t point);  // \w
bool sc_template_is_printable(uint32_t point);
enum text_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL, CASE_SWAP, CASE_FOLD };
bool sc_template_write_case(struct run *run, struct sc_text text, enum text_case which);
bool sc_template_change_case(struct run *run, const struct string *string, enum text_case which, struct value *out);
struct sc_text sc_template_strip(struct sc_text text, const struct string *characters, bool left, bool right);
// The first or last place of `needle` from byte `begin` on, or -1.
ptrdiff_t sc_template_find(struct sc_text text, struct sc_text needle, size_t begin);
bool sc_template_find_last(struct run *run, struct sc_text text, struct sc_text needle, ptrdiff_t *out);
bool sc_template_replace(struct run *run, const struct string *text, const struct string *old, const struct string *new,
                         int64_t n_max, struct value *out);
bool sc_template_split_lines(struct run *run, struct sc_text text, bool keep_ends, struct list *out);
bool sc_template_write_escaped(struct run *run, struct sc_text text); // for HTML
bool sc_template_escape(struct run *run, struct value value, struct value *out);

// template_operators.c
enum operator{ OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_DIVIDE, OP_FLOOR_DIVIDE, OP_MODULO, OP_POWER };
bool sc_template_operate(struct run *run, enum operator op, struct value a, struct value b, struct value *out);
bool sc_template_negate(struct run *run, struct value a, struct value *out);
bool sc_template_concat(struct run *run, const struct string *a, const struct string *b, struct value *out);
bool sc_template_divmod(struct run *run, int64_t a, int64_t b, int64_t *quotient, int64_t *rest);

// template_access.c
bool sc_template_attribute(struct run *run, struct value object, const struct string *name, struct value *out);
bool sc_template_item(struct run *run, struct value object, struct value key, struct value *out);
bool sc_template_slice(struct run *run, struct value object, const struct value bounds[3], struct value *out);
// A path such as "user.names.0", as the argument `attribute` of filters has it; may also be a number.
bool sc_template_path(struct run *run, struct value object, struct value path, struct value otherwise,
                      struct value *out);
// Python's treatment of start and stop: within 0..n.
int64_t sc_template_clamp_index(int64_t index, int64_t n);

// template_call.c: natives and their arguments.
const struct native *sc_template_native_find(const struct native *table, const char *name, size_t n_bytes);
bool sc_template_native_call(struct run *run, const char *what, const struct native *native, struct value self,
                             const struct arguments *given, struct value *out);
bool sc_template_call(struct run *run, struct value callee, const struct arguments *given, struct value *out);
// Reading arguments: what is absent gives the default.
bool sc_template_arg_int(struct run *run, struct value arg, int64_t otherwise, int64_t *out);
bool sc_template_arg_bool(struct value arg, bool otherwise);
bool sc_template_arg_string(struct run *run, struct value arg, const char *what, const struct string **out);

// template_format.c
bool sc_template_format_percent(struct run *run, const struct string *format, struct value args, struct value *out);
bool sc_template_format_braces(struct run *run, const struct string *format, const struct arguments *args,
                               struct value *out);

// template_numbers.c: text to number and back.
bool sc_template_parse_int(struct sc_text text, int64_t base, int64_t *out); // as int(text, base)
bool sc_template_parse_float(struct sc_text text, double *out);              // as float(text)
bool sc_template_round(struct run *run, double real, int64_t precision, const char *method, double *out);

// template_wrap.c: breaks one line of text into lines of a width, as textwrap.wrap does without replacing white space.
struct sc_template_wrap {
    int64_t width;
    bool breaks_long, breaks_hyphens;
    const struct string *separator;
};
bool sc_template_wrap_line(struct run *run, const struct sc_template_wrap *wrap, struct sc_text line);

// template_time.c: strftime in the C locale.
bool sc_template_write_time(struct run *run, const struct string *format);

// template_exec.c, template_eval.c, template_macro.c
bool sc_template_eval(struct run *run, const struct node *node, struct value *out);
bool sc_template_eval_call(struct run *run, const struct node *node, struct value caller, struct value *out);
bool sc_template_lookup(struct run *run, const struct string *name, struct value *out);
bool sc_template_bind(struct run *run, struct scope *scope, const struct string *name, struct value value);
struct scope *sc_template_scope_new(struct run *run, struct scope *parent);
bool sc_template_exec_body(struct run *run, const struct nodes *body); // outside of loops
bool sc_template_macro_call(struct run *run, const struct macro *macro, const struct arguments *given,
                            struct value *out);
bool sc_template_loop_call(struct run *run, struct loop *loop, struct value items, struct value *out); // recursive
bool sc_template_loop_fill(struct run *run, struct loop *loop, size_t n); // until n items are known, if there are
bool sc_template_assign(struct run *run, const struct node *target, struct value value);

// The tables. Each ends with a row without a name.
extern const struct native *const sc_template_filters[]; // several, ends with NULL
extern const struct native sc_template_tests[];
extern const struct native sc_template_globals[];
extern const struct native sc_template_filters_list[], sc_template_filters_select[], sc_template_filters_text[],
    sc_template_filters_value[];
extern const struct native sc_template_methods_string[], sc_template_methods_string_ask[], sc_template_methods_list[],
    sc_template_methods_tuple[], sc_template_methods_dict[], sc_template_methods_loop[], sc_template_methods_cycler[];
const struct native *sc_template_filter_find(const char *name, size_t n_bytes);

#endif
