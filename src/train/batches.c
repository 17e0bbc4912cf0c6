#include "train/batches.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"

enum { BATCH_ROWS_MAX = 1 << 28 };

struct sc_batches {
    const struct sc_corpus *corpus;
    struct sc_corpus_reader reader;
    struct sc_batches_options options;
    bool is_cut_anywhere; // the documents are texts
    size_t n_documents;   // on this side
    uint32_t *order;      // [n_documents] of `order_epoch`; NULL: in order
    uint64_t order_epoch;
    struct sc_batches_state state;
    // The document at state.next, if it was read.
    struct sc_examples examples;
    uint64_t read_epoch, read_next;
    bool is_read;
    // The batch: [n_windows * n_context], begins one more.
    int32_t *tokens, *targets;
    uint32_t *positions, *begins;
    size_t n_rows, n_sequences, n_targets;
};

// ---- opening

static socle_status check_options(const struct sc_corpus *corpus, const struct sc_corpus_reader *reader,
                                  const struct sc_batches_options *o, socle_error *err)
{
    uint64_t n_rows;
    if (o->n_context == 0 || o->n_windows == 0)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "batches: expected windows of 1 row or more, and 1 window or more");
    if (!sc_u64_mul(o->n_context, o->n_windows, &n_rows) || n_rows > BATCH_ROWS_MAX)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "batches: %u windows of %u rows are more than the %d rows allowed",
                       o->n_windows, o->n_context, BATCH_ROWS_MAX);
    if (sc_corpus_kind(corpus) == SC_CORPUS_PREFERENCE && o->n_windows % 2)
        return sc_fail(err, SOCLE_BAD_ARGUMENT, "batches: pairs of answers take an even number of windows, found %u",
                       o->n_windows);
    if (sc_corpus_kind(corpus) == SC_CORPUS_CHAT && !reader->template)
        return sc_fail(err, SOCLE_UNSUPPORTED, "the model has no chat template, which conversations need");
    if (sc_corpus_n_selected(corpus, o->held_out)) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_FILE, "of the training data's %zu documents, %s held out",
                   sc_corpus_n_documents(corpus), o->held_out ? "none is" : "all are");
}

static socle_status take_memory(struct sc_batches *b, socle_error *err)
{
    size_t n_rows = (size_t)b->options.n_windows * b->options.n_context;
    b->tokens = malloc(n_rows * sizeof *b->tokens);
    b->targets = malloc(n_rows * sizeof *b->targets);
    b->positions = malloc(n_rows * sizeof *b->positions);
    b->begins = malloc((n_rows + 1) * sizeof *b->begins);
    if (!b->tokens || !b->targets || !b->positions || !b->begins)
        return sc_fail_memory(err, 4 * n_rows * sizeof *b->tokens, "a batch");
    if (b->options.in_order) return SOCLE_OK;
    b->order = malloc(b->n_documents * sizeof *b->order);
    b->order_epoch = UINT64_MAX;
    return b->order ? SOCLE_OK : sc_fail_memory(err, b->n_documents * sizeof *b->order, "the order of the documents");
}

socle_status sc_batches_open(const struct sc_corpus *corpus, const struct sc_corpus_reader *reader,
                             const struct sc_batches_options *options, struct sc_batches **out, socle_error *err)
{
    SC_TRY(check_options(corpus, reader, options, err));
    struct sc_batches *b = calloc(1, sizeof *b);
    if (!b) return sc_fail_memory(err, sizeof *b, "batches");
    enum sc_corpus_kind kind = sc_corpus_kind(corpus);
    b->corpus = corpus;
    b->reader = *reader;
    b->options = *options;
    b->is_cut_anywhere = kind == SC_CORPUS_TEXT || kind == SC_CORPUS_JSONL;
    b->n_documents = sc_corpus_n_selected(corpus, options->held_out);
    socle_status status = take_memory(b, err);
    if (status == SOCLE_OK) *out = b;
    else sc_batches_close(b);
    return status;
}

void sc_batches_close(struct sc_batches *b)
{
    if (!b) return;
    sc_examples_free(&b->examples);
    free(b->order);
    free(b->tokens);
    free(b->targets);
    free(b->positions);
    free(b->begins);
    free(b);
}

// ---- the order

// The number of a draw: the epochs in its upper half.
static uint64_t draw(uint64_t epoch, uint64_t index) { return epoch << 32 | index; }

// Fisher and Yates, from the end (Durstenfeld, "Algorithm 235: Random permutation", 1964).
static void shuffle(struct sc_batches *b, uint64_t epoch)
{
    for (size_t i = 0; i < b->n_documents; i++) b->order[i] = (uint32_t)i;
    for (size_t i = b->n_documents - 1; i > 0; i--) {
        uint32_t j = sc_random_below(b->options.seed, draw(epoch, i), SC_RANDOM_SHUFFLE, (uint32_t)i + 1);
        uint32_t other = b->order[j];
        b->order[j] = b->order[i];
        b->order[i] = other;
    }
    b->order_epoch = epoch;
}

static size_t document_at(struct sc_batches *b, uint64_t epoch, uint64_t next)
{
    size_t k = (size_t)next;
    if (b->order && b->order_epoch != epoch) shuffle(b, epoch);
    if (b->order) k = b->order[k];
    return sc_corpus_select(b->corpus, b->options.held_out, k);
}

// Reads the document that the state is at, unless it is there.
static socle_status read_current(struct sc_batches *b, socle_error *err)
{
    const struct sc_batches_state *s = &b->state;
    if (b->is_read && b->read_epoch == s->epoch && b->read_next == s->next) return SOCLE_OK;
    b->is_read = false;
    SC_TRY(sc_corpus_read(b->corpus, document_at(b, s->epoch, s->next), &b->reader, &b->examples, err));
    b->is_read = true;
    b->read_epoch = s->epoch;
    b->read_next = s->next;
    return SOCLE_OK;
}

// ---- rows

// Rows that an example asks for: up to the one that predicts its last token to be learnt.
static size_t n_rows_of(const struct sc_example *e)
{
    for (size_t i = e->n; i > 1; i--)
        if (e->answer[i - 1]) return i - 1;
    return 0;
}

// Lays n rows of an example, from row `offset` on, as a sequence.
static void lay(struct sc_batches *b, const struct sc_example *e, size_t offset, size_t n)
{
    b->begins[b->n_sequences++] = (uint32_t)b->n_rows;
    for (size_t i = 0; i < n; i++) {
        size_t row = b->n_rows++, next = offset + i + 1;
        b->tokens[row] = e->tokens[next - 1];
        b->targets[row] = e->answer[next] ? e->tokens[next] : -1;
        b->positions[row] = (uint32_t)i;
        b->n_targets += e->answer[next] != 0;
    }
}

static bool learns_within(const struct sc_example *e, size_t n_rows)
{
    for (size_t i = 1; i <= n_rows; i++)
        if (e->answer[i]) return true;
    return false;
}

// The rows of an example that is never divided, in *n; 0: it is skipped.
static socle_status measure(const struct sc_batches *b, const struct sc_example *e, size_t *n, socle_error *err)
{
    size_t n_max = b->options.n_context;
    *n = n_rows_of(e);
    if (*n <= n_max) return SOCLE_OK;
    if (b->options.long_examples == SC_LONG_FAILS) {
        size_t document = sc_corpus_select(b->corpus, b->options.held_out,
                                           b->order ? b->order[b->state.next] : (size_t)b->state.next);
        struct sc_corpus_place place = sc_corpus_place(b->corpus, document);
        return sc_fail(
            err, SOCLE_BAD_FILE,
            "%s: line %llu: the conversation has %zu tokens to its last answer's end, more than the %zu that "
            "a context of %zu holds: expected a shorter one, a longer context, or that such are to be "
            "skipped or cut",
            place.path, (unsigned long long)place.line, *n + 1, n_max + 1, n_max);
    }
    bool keeps = b->options.long_examples == SC_LONG_IS_CUT && learns_within(e, n_max);
    *n = keeps ? n_max : 0;
    return SOCLE_OK;
}

// ---- windows

// Steps of filling a window.
enum step { STEP_LAID, STEP_PASSED, STEP_FULL };

static void next_document(struct sc_batches_state *s)
{
    s->next++;
    s->example = s->offset = 0;
}

// Texts: as much of the document as fits into n_free rows.
static enum step lay_text(struct sc_batches *b, size_t n_free)
{
    struct sc_batches_state *s = &b->state;
    const struct sc_example *e = &b->examples.list[0];
    size_t n_left = n_rows_of(e) - (size_t)s->offset, n = SC_MIN(n_left, n_free);
    if (n_free == 0) return STEP_FULL;
    if (n) lay(b, e, (size_t)s->offset, n);
    s->offset += n;
    if (n == n_left) next_document(s);
    return n ? STEP_LAID : STEP_PASSED;
}

static void pass_example(struct sc_batches *b, size_t n)
{
    struct sc_batches_state *s = &b->state;
    if (s->example == 0) s->n_off_prompt += b->examples.n_off_prompt;
    s->example += n;
    if (s->example >= b->examples.n) next_document(s);
}

// Conversations: the next example, if it fits into n_free rows.
static socle_status lay_example(struct sc_batches *b, size_t n_free, enum step *step, socle_error *err)
{
    const struct sc_example *e = &b->examples.list[b->state.example];
    size_t n;
    SC_TRY(measure(b, e, &n, err));
    *step = n == 0 ? STEP_PASSED : n > n_free ? STEP_FULL : STEP_LAID;
    if (*step == STEP_FULL) return SOCLE_OK;
    if (*step == STEP_LAID) lay(b, e, 0, n);
    else b->state.n_skipped++;
    pass_example(b, 1);
    return SOCLE_OK;
}

// Pairs: both examples, in two windows of their own.
static socle_status lay_pair(struct sc_batches *b, enum step *step, socle_error *err)
{
    const struct sc_example *e = b->examples.list;
    size_t n[2];
    for (int i = 0; i < 2; i++) SC_TRY(measure(b, &e[i], &n[i], err));
    *step = n[0] && n[1] ? STEP_LAID : STEP_PASSED;
    for (int i = 0; i < 2 && *step == STEP_LAID; i++) lay(b, &e[i], 0, n[i]);
    if (*step == STEP_PASSED) b->state.n_skipped += 2;
    pass_example(b, 2);
    return SOCLE_OK;
}

// Rows of a window that begins here: an epoch's first is cut short by chance.
static size_t window_rows(const struct sc_batches *b)
{
    const struct sc_batches_state *s = &b->state;
    bool is_first = s->next == 0 && s->example == 0 && s->offset == 0;
    if (b->options.in_order || !b->is_cut_anywhere || !is_first) return b->options.n_context;
    return b->options.n_context -
           sc_random_below(b->options.seed, draw(s->epoch, 0), SC_RANDOM_CUT, b->options.n_context);
}

static bool is_over(const struct sc_batches *b) { return b->options.n_epochs && b->state.epoch >= b->options.n_epochs; }

// No document gave a row.
static socle_status fail_barren(const struct sc_batches *b, socle_error *err)
{
    if (b->state.n_skipped)
        return sc_fail(err, SOCLE_BAD_FILE,
                       "too little training data: all conversations are longer than a context of %u holds",
                       b->options.n_context);
    return sc_fail(err, SOCLE_BAD_FILE,
                   "too little training data: %zu document%s, and none with two tokens, so that one could be predicted",
                   b->n_documents, b->n_documents == 1 ? "" : "s");
}

// Fills one window (of pairs: two). *n_barren: ends of documents without a row between them:
// more of these than there are documents, and none gives any.
static socle_status fill_window(struct sc_batches *b, uint64_t *n_barren, socle_error *err)
{
    bool pairs = sc_corpus_kind(b->corpus) == SC_CORPUS_PREFERENCE;
    size_t end = b->n_rows + window_rows(b);
    enum step step = STEP_PASSED;
    while (step != STEP_FULL && b->state.next < b->n_documents) {
        if (b->is_cut_anywhere && b->n_rows == end) break; // the next document is not read for nothing
        uint64_t document = b->state.next;
        SC_TRY(read_current(b, err));
        if (pairs) SC_TRY(lay_pair(b, &step, err));
        else if (b->is_cut_anywhere) step = lay_text(b, end - b->n_rows);
        else SC_TRY(lay_example(b, end - b->n_rows, &step, err));
        if (step == STEP_LAID) *n_barren = 0;
        else if (b->state.next != document && ++*n_barren > b->n_documents) return fail_barren(b, err);
        if (pairs && step == STEP_LAID) break;
    }
    return SOCLE_OK;
}

static socle_status fill(struct sc_batches *b, socle_error *err)
{
    uint32_t n_at_once = sc_corpus_kind(b->corpus) == SC_CORPUS_PREFERENCE ? 2 : 1;
    uint64_t n_barren = 0;
    for (uint32_t window = 0; window < b->options.n_windows && !is_over(b);) {
        size_t n_rows = b->n_rows;
        SC_TRY(fill_window(b, &n_barren, err));
        if (b->n_rows > n_rows) window += n_at_once;
        if (b->state.next < b->n_documents) continue;
        b->state.epoch++;
        b->state.next = 0;
    }
    return SOCLE_OK;
}

// ---- the stream

socle_status sc_batches_next(struct sc_batches *b, struct sc_batch *out, socle_error *err)
{
    struct sc_batches_state before = b->state;
    b->n_rows = b->n_sequences = b->n_targets = 0;
    socle_status status = fill(b, err);
    if (status == SOCLE_OK && b->n_rows == 0 && before.n_rows == 0) status = fail_barren(b, err);
    if (status != SOCLE_OK) {
        b->state = before;
        return status;
    }
    b->begins[b->n_sequences] = (uint32_t)b->n_rows;
    b->state.n_rows += b->n_rows;
    b->state.n_targets += b->n_targets;
    *out = (struct sc_batch){
        .n_rows = b->n_rows,
        .tokens = b->tokens,
        .targets = b->targets,
        .positions = b->positions,
        .n_sequences = b->n_sequences,
        .begins = b->begins,
        .n_targets = b->n_targets,
    };
    return SOCLE_OK;
}

struct sc_batches_state sc_batches_state(const struct sc_batches *b) { return b->state; }

static socle_status check_state(struct sc_batches *b, socle_error *err)
{
    const struct sc_batches_state *s = &b->state;
    bool fits = s->epoch <= UINT32_MAX && s->next < b->n_documents;
    if (fits && (s->example || s->offset)) {
        SC_TRY(read_current(b, err));
        fits = s->example < b->examples.n && s->offset < n_rows_of(&b->examples.list[s->example]) &&
               (b->is_cut_anywhere || s->offset == 0);
    }
    if (fits) return SOCLE_OK;
    return sc_fail(err, SOCLE_BAD_ARGUMENT,
                   "a stream of batches cannot be at example %llu, row %llu of document %llu: the state is of other "
                   "training data",
                   (unsigned long long)s->example, (unsigned long long)s->offset, (unsigned long long)s->next);
}

socle_status sc_batches_seek(struct sc_batches *b, const struct sc_batches_state *state, socle_error *err)
{
    struct sc_batches_state before = b->state;
    b->state = *state;
    socle_status status = check_state(b, err);
    if (status != SOCLE_OK) b->state = before;
    return status;
}

double sc_batches_epochs(const struct sc_batches *b)
{
    const struct sc_batches_state *s = &b->state;
    double part = 0.0;
    bool is_read = b->is_read && b->read_epoch == s->epoch && b->read_next == s->next;
    if (is_read && b->is_cut_anywhere && s->offset) part = (double)s->offset / (double)n_rows_of(&b->examples.list[0]);
    else if (is_read) part = (double)s->example / (double)b->examples.n;
    return (double)s->epoch + ((double)s->next + part) / (double)b->n_documents;
}
