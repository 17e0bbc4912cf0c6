#include "cli/training.h"

#include <stdlib.h>
#include <string.h>

#include "cli/loss_plot.h"
#include "cli/output.h"

void cli_training_init(struct cli_training *t)
{
    *t = (struct cli_training){ .from = UINT64_MAX, .to = UINT64_MAX };
    socle_train_options_init(&t->train);
}

int cli_training_parse(const struct cli_command *command, const struct cli_option *options, int argc, char **argv,
                       struct cli_training *t, struct cli_config *config)
{
    const char *operands[1];
    size_t n = 0;
    int code = cli_parse(command, options, argc, argv, operands, 1, &n);
    if (code >= 0) return code;
    t->data.n = t->held_out.n = 0; // read again below
    if (n) t->config = operands[0];
    return cli_parse_config(command, options, argc, argv, operands, 1, &n, config);
}

// The place of `word` in a list of names that NULL ends; 0 for NULL; -1 after a message.
static int choose(const char *option, const char *word, const char *const *names)
{
    char list[200] = "";
    if (!word) return 0;
    for (int i = 0; names[i]; i++) {
        if (strcmp(word, names[i]) == 0) return i;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    }
    cli_misuse("--%s: expected one of %s, found '%s'", option, list, word);
    return -1;
}

static bool settle(struct cli_training *t)
{
    static const char *const kinds[] = { "text", "jsonl", "chat", "preference", NULL };
    static const char *const optimizers[] = { "adamw", "muon", NULL };
    static const char *const schedules[] = { "cosine", "wsd", "constant", NULL };
    static const char *const activations[] = { "f32", "bf16", NULL };
    static const char *const longs[] = { "fail", "skip", "cut", NULL };
    int kind = t->format ? choose("format", t->format, kinds) : (int)t->train.data_kind;
    int optimizer = choose("optimizer", t->optimizer, optimizers),
        schedule = choose("schedule", t->schedule, schedules);
    int bf16 = choose("activations", t->activations, activations), too_long = choose("long", t->long_examples, longs);
    if (kind < 0 || optimizer < 0 || schedule < 0 || bf16 < 0 || too_long < 0) return false;
    t->train.data_kind = (socle_data_kind)kind;
    t->train.optimizer = (socle_optimizer)optimizer;
    t->train.schedule = (socle_schedule)schedule;
    t->train.bf16 = bf16 == 1;
    t->train.long_examples = (socle_long_examples)too_long;
    t->train.memory = (uint64_t)t->memory_mib << 20;
    t->train.data = t->data.items;
    t->train.n_data = t->data.n;
    t->train.held_out = t->held_out.items;
    t->train.n_held_out = t->held_out.n;
    return true;
}

// ---- what is shown

struct show {
    const struct cli_training *t;
    struct cli_progress progress;
    double tokens_per_second; // smoothed
    bool lines;               // no terminal: a line now and then
    socle_training_step last;
    uint64_t first; // step of this session
    double best, best_per_byte;
    uint64_t best_step;
};

static void on_step(void *context, const socle_training_step *step)
{
    struct show *s = context;
    char note[160];
    double now = step->tokens_per_second;
    if (s->first == 0) s->first = step->step;
    s->tokens_per_second = s->tokens_per_second > 0.0 ? 0.9 * s->tokens_per_second + 0.1 * now : now;
    s->last = *step;
    snprintf(note, sizeof note, "step %llu/%llu, loss %.3f, %.0f tokens/s", (unsigned long long)step->step,
             (unsigned long long)step->n_steps, step->loss, s->tokens_per_second);
    cli_progress_update(&s->progress, (double)step->step, (double)step->n_steps, note);
    uint64_t every = step->n_steps > 50 ? step->n_steps / 50 : 1;
    if (!s->lines || step->step % every) return;
    double left = step->seconds / (double)(step->step - s->first + 1) * (double)(step->n_steps - step->step);
    fprintf(stderr, "step %llu of %llu, epoch %.2f: loss %.4f, rate %.3g, norm %.3g, %.0f tokens/s, %.0f s left\n",
            (unsigned long long)step->step, (unsigned long long)step->n_steps, step->epochs, step->loss, step->rate,
            step->norm, s->tokens_per_second, left);
}

static void on_verified_step(void *context, const socle_training_step *step)
{
    struct show *s = context;
    cli_progress_update(&s->progress, (double)step->step, (double)step->n_steps, "repeating");
}

static void on_evaluation(void *context, const socle_training_evaluation *e)
{
    struct show *s = context;
    if (e->best) {
        s->best = e->loss;
        s->best_per_byte = e->per_byte;
        s->best_step = e->step;
    }
    if (s->t->json) return;
    cli_progress_end(&s->progress);
    printf("%sstep %llu: held-out loss %.4f", cli_bold(stdout), (unsigned long long)e->step, e->loss);
    if (e->per_byte > 0.0) printf(", %.4f a byte", e->per_byte);
    if (s->t->train.data_kind == SOCLE_DATA_PREFERENCE) printf(", %.1f %% preferred rightly", 100.0 * e->accuracy);
    printf("%s%s\n", e->best ? ", the best so far" : "", cli_reset(stdout));
    fflush(stdout);
    cli_progress_begin(&s->progress, "Training");
}

static void on_sample(void *context, uint64_t step, const char *text)
{
    struct show *s = context;
    if (s->t->json) return;
    cli_progress_end(&s->progress);
    printf("%sstep %llu writes:%s ", cli_dim(stdout), (unsigned long long)step, cli_reset(stdout));
    cli_put_text(stdout, text, strlen(text), 0);
    printf("\n");
    fflush(stdout);
    cli_progress_begin(&s->progress, "Training");
}

static bool stopped(void *context)
{
    (void)context;
    return cli_work_stopped();
}

// ---- a dry run

static const char *duration(double seconds, char out[32])
{
    if (seconds < 120.0) snprintf(out, 32, "%.0f s", seconds);
    else if (seconds < 7200.0) snprintf(out, 32, "%.0f min", seconds / 60.0);
    else snprintf(out, 32, "%.1f h", seconds / 3600.0);
    return out;
}

static int dry_run_json(const socle_training_info *i, double seconds, uint64_t n_steps, json_t *parts)
{
    return cli_print_json(
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I}, s:i, s:i, s:f, s:f, s:f, s:I, s:o}",
                  "n_parameters", (json_int_t)i->n_parameters, "n_trained", (json_int_t)i->n_trained, "n_documents",
                  (json_int_t)i->n_documents, "n_held_out", (json_int_t)i->n_held_out, "n_data_bytes",
                  (json_int_t)i->n_data_bytes, "tokens_per_step", (json_int_t)i->n_tokens_step, "bytes", "weights",
                  (json_int_t)i->weights_bytes, "optimizer", (json_int_t)i->optimizer_bytes, "activations",
                  (json_int_t)i->activations_bytes, "total", (json_int_t)i->total_bytes, "available",
                  (json_int_t)i->available_bytes, "n_stretches", i->n_stretches, "n_recomputed", i->n_recomputed,
                  "seconds_per_step", seconds, "tokens_per_second", (double)i->n_tokens_step / seconds,
                  "flops_per_step", i->flops_step, "n_steps", (json_int_t)n_steps, "parts", parts));
}

static json_t *parts_json(const socle_training *training)
{
    json_t *list = json_array();
    socle_training_part p;
    for (size_t i = 0; socle_training_part_at(training, i, &p); i++)
        json_array_append_new(list, json_pack("{s:s, s:b, s:f, s:f, s:b}", "op", p.op, "backward", p.backward,
                                              "seconds", p.seconds, "macs", p.macs, "f32", p.is_f32));
    return list;
}

// Where the time goes: what takes a hundredth or more.
static void show_parts(const socle_training *training, double seconds)
{
    socle_training_part p;
    for (size_t i = 0; socle_training_part_at(training, i, &p); i++) {
        if (p.seconds < 0.01 * seconds) continue;
        printf("           %4.1f %%  %s%s", 100.0 * p.seconds / seconds, p.op, p.backward ? ", backwards" : "");
        if (p.macs > 0.0) printf(": %.0f G multiply-adds/s%s", p.macs / p.seconds * 1e-9, p.is_f32 ? "" : " of bytes");
        printf("\n");
    }
}

static int dry_run(const struct cli_training *t, socle_training *training)
{
    socle_training_info i;
    socle_error err;
    double seconds;
    char a[16], b[16], c[16], d[16], e[16], time[32];
    socle_training_describe(training, &i);
    if (socle_training_time_step(training, &seconds, &err) != SOCLE_OK) return cli_fail(&err);
    if (t->json) return dry_run_json(&i, seconds, t->train.n_steps, parts_json(training));
    printf("Model      %llu weights, of which %llu are trained\n", (unsigned long long)i.n_parameters,
           (unsigned long long)i.n_trained);
    printf("Data       %llu documents, %llu held out, %s\n", (unsigned long long)i.n_documents,
           (unsigned long long)i.n_held_out, cli_bytes(i.n_data_bytes, a));
    printf("Memory     %s: weights %s, derivatives and optimizer %s, activations %s; available %s\n",
           cli_bytes(i.total_bytes, a), cli_bytes(i.weights_bytes, b), cli_bytes(i.optimizer_bytes, c),
           cli_bytes(i.activations_bytes, d), cli_bytes(i.available_bytes, e));
    if (i.n_recomputed)
        printf("           %u of %u parts are computed again in the walk backwards\n", i.n_recomputed, i.n_stretches);
    printf("A step     %llu tokens, %.2f s, %.0f tokens/s, %.0f GFLOP/s\n", (unsigned long long)i.n_tokens_step,
           seconds, (double)i.n_tokens_step / seconds, i.flops_step / seconds * 1e-9);
    show_parts(training, seconds);
    printf("All        %llu steps, %llu tokens, about %s\n", (unsigned long long)t->train.n_steps,
           (unsigned long long)(t->train.n_steps * i.n_tokens_step),
           duration(seconds * (double)t->train.n_steps, time));
    return cli_check_stdout();
}

// ---- a run

static int exit_code_of_stop(void) { return cli_ending() ? cli_ending() : 130; }

static void draw(const struct cli_training *t)
{
    char log[4096], svg[4096];
    snprintf(log, sizeof log, "%s/log.jsonl", t->train.folder);
    snprintf(svg, sizeof svg, "%s/loss.svg", t->train.folder);
    cli_loss_plot(log, svg, t->train.name ? t->train.name : "Training");
}

// The best evaluation as JSON, where there was one.
static void add_best(const struct show *s, json_t *object)
{
    if (!s->best_step) return;
    json_object_set_new(object, "best_step", json_integer((json_int_t)s->best_step));
    json_object_set_new(object, "best_held_out", json_real(s->best));
    if (s->best_per_byte > 0.0) json_object_set_new(object, "best_held_out_per_byte", json_real(s->best_per_byte));
}

static int report_json(const struct show *s, socle_training_end end, const char *result)
{
    static const char *const ends[] = { "done", "no better any more", "stopped" };
    json_t *object = json_pack("{s:s, s:I, s:f, s:s, s:s}", "end", ends[end], "step", (json_int_t)s->last.step,
                               "seconds", s->last.seconds, "folder", s->t->train.folder, "result", result);
    if (object) add_best(s, object);
    int code = cli_print_json(object);
    return code ? code : end == SOCLE_TRAINING_STOPPED ? exit_code_of_stop() : SOCLE_OK;
}

static int report(const struct show *s, socle_training_end end)
{
    const struct cli_training *t = s->t;
    const char *result = t->train.lora_rank ? "adapter.gguf" : "model.gguf";
    if (t->json) return report_json(s, end, result);
    if (end == SOCLE_TRAINING_STOPPED) {
        fprintf(stderr, "Stopped at step %llu; --resume goes on from there.\n", (unsigned long long)s->last.step);
        return exit_code_of_stop();
    }
    printf("%s after step %llu", end == SOCLE_TRAINING_DONE ? "Done" : "Ended, as nothing got better,",
           (unsigned long long)s->last.step);
    if (s->best_step)
        printf("; the best held-out loss is %.4f, of step %llu", s->best, (unsigned long long)s->best_step);
    printf(". %s/%s is the result, %s/loss.svg shows the run.\n", t->train.folder, result, t->train.folder);
    return cli_check_stdout();
}

static int train(const struct cli_training *t, socle_training *training, const socle_training_info *info)
{
    socle_training_end end = SOCLE_TRAINING_DONE;
    socle_error err;
    struct show show = { .t = t,
                         .lines = cli_color(stderr) == false,
                         .last.step = info->step,
                         .best = info->best_loss,
                         .best_step = info->best_step };
    socle_training_events events = {
        .on_step = on_step, .on_evaluation = on_evaluation, .on_sample = on_sample, .stop = stopped, .context = &show
    };
    cli_signals_work(true);
    cli_progress_begin(&show.progress, "Training");
    socle_status status = socle_training_run(training, &events, &end, &err);
    cli_progress_end(&show.progress);
    cli_signals_work(false);
    if (show.last.step) draw(t);
    return status == SOCLE_OK ? report(&show, end) : cli_fail(&err);
}

static int verify(const struct cli_training *t, socle_training *training)
{
    uint64_t repeated = 0;
    socle_error err;
    struct show show = { .t = t };
    socle_training_events events = { .on_step = on_verified_step, .stop = stopped, .context = &show };
    cli_signals_work(true);
    cli_progress_begin(&show.progress, "Repeating");
    socle_status status = socle_training_verify(training, t->from, t->to, &events, &repeated, &err);
    cli_progress_end(&show.progress);
    cli_signals_work(false);
    if (status == SOCLE_CANCELLED) {
        cli_error("stopped before all steps were repeated; those that were say nothing yet");
        return exit_code_of_stop();
    }
    if (status != SOCLE_OK) return cli_fail(&err);
    printf("%llu steps repeated: every bit of the weights and of the optimizer agrees.\n",
           (unsigned long long)repeated);
    return cli_check_stdout();
}

int cli_training_run(struct cli_training *t)
{
    socle_training *training;
    socle_training_info info;
    socle_error err;
    if (!settle(t)) return SOCLE_BAD_ARGUMENT;
    if (!t->train.folder) return cli_misuse("--out: the folder of the run is needed");
    cli_signals_install();
    // A verification reads the run's checkpoints; it neither begins a run nor goes on with one.
    if (socle_training_open(&t->train, t->resume || t->verify, &training, &err) != SOCLE_OK) return cli_fail(&err);
    socle_training_describe(training, &info);
    if (info.damaged && !t->verify) cli_error("%s; going on from the checkpoint before it", info.damaged);
    int code = t->dry_run ? dry_run(t, training) : t->verify ? verify(t, training) : train(t, training, &info);
    socle_training_free(training);
    return code;
}
