// A training run as an SVG picture: its losses over its steps, and below them the learning rate on an axis of its own.
//
//     title, totals, legend
//     loss |\                      the loss of each step as a thin line, smoothed as a thick one, held-out losses as
//          | `-._o                 dots, the best in a ring. The axis leaves out the first steps' huge losses: it ends
//          |_____`-o-._o___(o)__   where all but a fiftieth of the line lies below.
//     rate |/``----....._______
//                 step
//
// A log has more steps than a picture has columns: neighbours are averaged until POINTS_MAX are left. Colours are of
// the palette of Okabe and Ito (2008), which people tell apart however they see colours.
#include "cli/loss_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/loss_log.h"
#include "cli/output.h"
#include "text/utf8.h"

enum { WIDTH = 880, HEIGHT = 480, POINTS_MAX = 800, DOTS_MAX = 150, TITLE_MAX = 80 };

static const double left = 66, right = 856, top = 96, bottom = 428; // of everything drawn
static const double losses_bottom = 358, rates_top = 376;           // where there are rates
static const char *const train_colour = "#0072b2", *const step_colour = "#93c4e6";
static const char *const held_out_colour = "#d55e00", *const rate_colour = "#009e73";

struct point {
    double step, loss, rate, smoothed;
};

struct picture {
    FILE *file;
    const struct cli_loss_log *log;
    const char *title;
    struct point points[POINTS_MAX]; // of the log's steps, averaged
    size_t n_points;
    const struct cli_evaluation *best; // NULL: none
    double x0, x1, y0, y1, rate_most;  // the axes' ends; rate_most 0: no rates are drawn
    double losses_bottom;
};

// ---- numbers and text

static void put_escaped(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '<') fputs("&lt;", file);
        else if (*text == '>') fputs("&gt;", file);
        else if (*text == '&') fputs("&amp;", file);
        else if (strncmp(text, "\xEF\xBF\xBE", 3) == 0 || strncmp(text, "\xEF\xBF\xBF", 3) == 0)
            text += 2; // U+FFFE and U+FFFF are not XML
        else if ((unsigned char)*text >= 0x20) fputc(*text, file);
    }
}

// "12,500"
static const char *grouped(double number, char out[32])
{
    char digits[24];
    size_t n = (size_t)snprintf(digits, sizeof digits, "%.0f", number), used = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

// "81.9M"
static const char *shortened(double number, char out[32])
{
    static const char units[] = " kMBT";
    size_t unit = 0;
    if (number < 10000) return grouped(number, out);
    for (; number >= 999.5 && units[unit + 1]; unit++) number /= 1000;
    snprintf(out, 32, "%.*f%c", number < 9.995 ? 2 : number < 99.95 ? 1 : 0, number, units[unit]);
    return out;
}

static const char *duration(double seconds, char out[32])
{
    unsigned long long s = (unsigned long long)(seconds + 0.5), m = s / 60, h = m / 60;
    if (seconds < 10) snprintf(out, 32, "%.1f s", seconds);
    else if (m == 0) snprintf(out, 32, "%llu s", s);
    else if (m < 10) snprintf(out, 32, "%llu min %llu s", m, s % 60);
    else if (h == 0) snprintf(out, 32, "%llu min", m);
    else if (h < 48) snprintf(out, 32, "%llu h %llu min", h, m % 60);
    else snprintf(out, 32, "%llu d %llu h", h / 24, h % 24);
    return out;
}

static const char *loss_text(double loss, int decimals, char out[32])
{
    snprintf(out, 32, fabs(loss) < 1e4 ? "%.*f" : "%.*g", fabs(loss) < 1e4 ? decimals : 4, loss);
    return out;
}

// A learning rate: "0.01", "3e-4".
static const char *short_rate(double rate, char out[32])
{
    int exponent = rate > 0 ? (int)floor(log10(rate) + 1e-9) : 0;
    if (exponent >= -2) snprintf(out, 32, "%.3g", rate);
    else snprintf(out, 32, "%.2ge%d", rate / pow(10, exponent), exponent);
    return out;
}

// The distance of round ticks, 1, 2 or 5 times a power of ten, that gives about n of them.
static double tick_distance(double span, double n)
{
    double unit = pow(10, floor(log10(span / n))), times = span / n / unit;
    return unit * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

// ---- what is drawn

// Averages neighbours until at most POINTS_MAX points are left.
static void thin_out(struct picture *p)
{
    size_t n = p->log->n_steps, n_each = (n + POINTS_MAX - 1) / POINTS_MAX;
    for (size_t from = 0; from < n; from += n_each) {
        size_t to = from + n_each < n ? from + n_each : n;
        struct point sum = { 0 };
        for (size_t i = from; i < to; i++) {
            sum.step += p->log->steps[i].step / (double)(to - from);
            sum.loss += p->log->steps[i].loss / (double)(to - from);
            sum.rate += p->log->steps[i].rate / (double)(to - from);
        }
        p->points[p->n_points++] = sum;
    }
}

// Means over a window around each point that is a fiftieth of the line to each side, and narrower near its start, where
// losses fall fast; weighted by a triangle.
static void smooth(struct picture *p)
{
    size_t n = p->n_points;
    for (size_t i = 0; i < n; i++) {
        size_t reach = (n / 50 < i / 3 ? n / 50 : i / 3) + (i && i + 1 < n);
        double sum = 0, weights = 0;
        for (size_t j = i - (reach < i ? reach : i); j < n && j <= i + reach; j++) {
            double weight = (double)(reach + 1) - fabs((double)j - (double)i);
            sum += weight * p->points[j].loss;
            weights += weight;
        }
        p->points[i].smoothed = sum / weights;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The axis of losses: from the least, to what all but the highest fiftieth of the points and all held-out losses after
// the first fiftieth of the steps lie below.
static void fit_losses(struct picture *p)
{
    double sorted[POINTS_MAX];
    size_t n = p->n_points;
    for (size_t i = 0; i < n; i++) sorted[i] = p->points[i].loss;
    qsort(sorted, n, sizeof *sorted, compare);
    double low = sorted[0], high = sorted[n <= 100 ? n - 1 : (n - 1) * 49 / 50];
    for (size_t i = 0; i < p->log->n_evaluations; i++) {
        const struct cli_evaluation *e = &p->log->evaluations[i];
        if (!p->best || e->loss < p->best->loss) p->best = e;
        low = fmin(low, e->loss);
        if (n <= 100 || e->step > p->x0 + 0.02 * (p->x1 - p->x0)) high = fmax(high, e->loss);
    }
    double margin = fmax(0.04 * (high - low), 0.01 * fmax(fabs(high), 0.1));
    p->y0 = low - margin;
    p->y1 = high + margin;
}

static void fit_axes(struct picture *p)
{
    const struct cli_loss_log *log = p->log;
    double first = log->steps[0].step, last = log->steps[log->n_steps - 1].step;
    if (log->n_evaluations) {
        first = fmin(first, log->evaluations[0].step);
        last = fmax(last, log->evaluations[log->n_evaluations - 1].step);
    }
    p->x0 = first <= 1 || first <= last - first ? 0 : first; // a log that begins late begins at the left edge
    p->x1 = fmax(last, p->x0 + 2);
    for (size_t i = 0; i < p->n_points; i++) p->rate_most = fmax(p->rate_most, p->points[i].rate);
    if (p->rate_most < 1e-30) p->rate_most = 0; // nothing is learnt
    p->losses_bottom = p->rate_most > 0 ? losses_bottom : bottom;
}

// ---- places

static double at_x(const struct picture *p, double step)
{
    return left + (right - left) * (step - p->x0) / (p->x1 - p->x0);
}

// What is far off the axis stays near the picture, so that numbers stay short.
static double at_y(const struct picture *p, double loss)
{
    double y = p->losses_bottom - (p->losses_bottom - top) * (loss - p->y0) / (p->y1 - p->y0);
    return fmax(-HEIGHT, fmin(y, 2 * HEIGHT));
}

static double at_rate(const struct picture *p, double rate)
{
    return bottom - (bottom - rates_top) * fmax(rate, 0) / (1.12 * p->rate_most);
}

// ---- axes

static void draw_step_axis(const struct picture *p)
{
    double distance = fmax(tick_distance(p->x1 - p->x0, 8), 1);
    for (double i = ceil(p->x0 / distance); i * distance <= p->x1; i++) {
        char text[32];
        double x = at_x(p, i * distance);
        fprintf(p->file, "<path class='grid' d='M%.1f %gV%g", x, top, p->losses_bottom);
        if (p->rate_most > 0) fprintf(p->file, "M%.1f %gV%g", x, rates_top, bottom);
        fprintf(p->file, "'/><text class='tick' x='%.1f' y='%g' text-anchor='middle'>%s</text>\n", x, bottom + 17,
                grouped(i * distance, text));
    }
    fprintf(p->file, "<text class='name' x='%g' y='%g' text-anchor='middle'>step</text>\n", (left + right) / 2,
            bottom + 37);
}

static void draw_loss_axis(const struct picture *p)
{
    double distance = tick_distance(p->y1 - p->y0, p->rate_most > 0 ? 6 : 7);
    int decimals = (int)fmax(0, -floor(log10(distance) + 1e-9));
    for (double i = ceil(p->y0 / distance); i * distance <= p->y1; i++) {
        char text[32];
        double y = at_y(p, i * distance);
        fprintf(p->file,
                "<path class='grid' d='M%g %.1fH%g'/><text class='tick' x='%g' y='%.1f' text-anchor='end'>%s</text>\n",
                left, y, right, left - 8, y + 4, loss_text(i * distance + 0.0, decimals, text)); // + 0.0: no "-0"
    }
    fprintf(p->file, "<path class='axis' d='M%g %gV%gH%g'/>\n", left, top, p->losses_bottom, right);
    fprintf(p->file,
            "<text class='name' transform='translate(20 %g) rotate(-90)' text-anchor='middle'>loss (nats per "
            "token)</text>\n",
            (top + p->losses_bottom) / 2);
}

static void draw_rates(const struct picture *p)
{
    double unit = pow(10, floor(log10(p->rate_most) + 1e-9)), tick = unit * floor(p->rate_most / unit + 0.02);
    char text[32];
    fprintf(p->file, "<path class='grid' d='M%g %.1fH%g'/>", left, at_rate(p, tick), right);
    fprintf(p->file, "<text class='tick' x='%g' y='%.1f' text-anchor='end'>%s</text>", left - 8, at_rate(p, tick) + 4,
            short_rate(tick, text));
    fprintf(p->file, "<text class='tick' x='%g' y='%g' text-anchor='end'>0</text>\n", left - 8, bottom + 3);
    fprintf(p->file,
            "<text class='name' transform='translate(14 %g) rotate(-90)' text-anchor='middle'>learning<tspan x='0' "
            "dy='13'>rate</tspan></text>\n",
            (rates_top + bottom) / 2);
    fprintf(p->file, "<path fill='%s' fill-opacity='.14' stroke='%s' stroke-opacity='.6' d='M%.1f %g", rate_colour,
            rate_colour, at_x(p, p->points[0].step), bottom);
    for (size_t i = 0; i < p->n_points; i++)
        fprintf(p->file, "L%.1f %.1f", at_x(p, p->points[i].step), at_rate(p, p->points[i].rate));
    fprintf(p->file, "V%gZ'/>\n", bottom);
    fprintf(p->file, "<path class='axis' d='M%g %gV%gH%g'/>\n", left, rates_top, bottom, right);
}

// ---- lines

static void draw_losses(const struct picture *p)
{
    for (int smoothed = 0; smoothed < 2; smoothed++) {
        fprintf(p->file, "<path fill='none' stroke='%s' stroke-width='%s' d='", smoothed ? train_colour : step_colour,
                p->n_points == 1 ? "7"
                : smoothed       ? "2.2"
                                 : "1");
        for (size_t i = 0; i < p->n_points; i++) {
            const struct point *point = &p->points[i];
            fprintf(p->file, "%c%.1f %.1f", i ? 'L' : 'M', at_x(p, point->step),
                    at_y(p, smoothed ? point->smoothed : point->loss));
        }
        fprintf(p->file, "h0'/>\n"); // a dot where there is one point
    }
}

// Held-out losses. More than DOTS_MAX are a line without dots, averaged to as many points at most.
static void draw_held_out(const struct picture *p)
{
    const struct cli_evaluation *evaluations = p->log->evaluations;
    size_t n = p->log->n_evaluations, n_each = (n + DOTS_MAX - 1) / DOTS_MAX;
    double size = n <= 40 ? 6.5 : 4.5;
    fprintf(p->file, "<path fill='none' stroke='%s' stroke-width='1.6' d='", held_out_colour);
    for (size_t from = 0; from < n; from += n_each) {
        double step = 0, loss = 0, n_here = (double)(from + n_each < n ? n_each : n - from);
        for (size_t i = from; i < n && i < from + n_each; i++) {
            step += evaluations[i].step / n_here;
            loss += evaluations[i].loss / n_here;
        }
        fprintf(p->file, "%c%.1f %.1f", from ? 'L' : 'M', at_x(p, step), at_y(p, loss));
    }
    fprintf(p->file, "'/>\n");
    if (n > DOTS_MAX) return;
    fprintf(p->file, "<path stroke='%s' stroke-width='%g' d='", held_out_colour, size);
    for (size_t i = 0; i < n; i++)
        fprintf(p->file, "M%.1f %.1fh0", at_x(p, evaluations[i].step), at_y(p, evaluations[i].loss));
    fprintf(p->file, "'/>\n");
}

// How much of the line from (x0, y0) to (x1, y1) lies within half a label of (x, y).
static int covered(double x, double y, double half_width, double x0, double y0, double x1, double y1)
{
    enum { SAMPLES = 16 };
    int n = 0;
    for (int i = 0; i <= SAMPLES; i++) {
        double along = (double)i / SAMPLES;
        n += fabs(x0 + along * (x1 - x0) - x) < half_width && fabs(y0 + along * (y1 - y0) - y) < 9;
    }
    return n;
}

// How much of both lines a label with its middle at (x, y) would cover.
static int covered_by(const struct picture *p, double x, double y, double half_width)
{
    int n = 0;
    for (size_t i = 0; i + 1 < p->n_points; i++) {
        const struct point *a = &p->points[i], *b = a + 1;
        n += covered(x, y, half_width, at_x(p, a->step), at_y(p, a->smoothed), at_x(p, b->step), at_y(p, b->smoothed));
    }
    for (size_t i = 0; i + 1 < p->log->n_evaluations; i++) {
        const struct cli_evaluation *a = &p->log->evaluations[i], *b = a + 1;
        n += covered(x, y, half_width, at_x(p, a->step), at_y(p, a->loss), at_x(p, b->step), at_y(p, b->loss));
    }
    return n;
}

// A ring around the best held-out loss, and its numbers where they cover least of the lines: above or below it, in the
// middle or to a side.
static void draw_best(const struct picture *p)
{
    char label[80], loss[32], step[32];
    snprintf(label, sizeof label, "%s at step %s", loss_text(p->best->loss, 3, loss), grouped(p->best->step, step));
    double x = at_x(p, p->best->step), y = at_y(p, p->best->loss), half_width = 3.6 * (double)strlen(label);
    double label_x = x, label_y = y;
    for (int i = 0, least = -1; i < 12; i++) {
        static const double sides[] = { 0, 1, -1 }, heights[] = { -19, 19, -36, 36 };
        double middle = fmax(left + half_width + 4, fmin(x + sides[i / 2 % 3] * half_width, right - half_width));
        double height = y + heights[i % 2 + i / 6 * 2];
        if (height < top + 10 || height > p->losses_bottom - 10) continue;
        int n = covered_by(p, middle, height, half_width);
        if (least >= 0 && n >= least) continue;
        least = n;
        label_x = middle;
        label_y = height;
    }
    fprintf(p->file, "<circle cx='%.1f' cy='%.1f' r='6.5' fill='#fff' stroke='%s' stroke-width='2'/>", x, y,
            held_out_colour);
    fprintf(p->file, "<circle cx='%.1f' cy='%.1f' r='3.2' fill='%s'/>\n", x, y, held_out_colour);
    fprintf(p->file, "<text class='best' x='%.1f' y='%.1f' text-anchor='middle'>%s</text>\n", label_x, label_y + 4,
            label);
}

// ---- around them

static double draw_legend_entry(const struct picture *p, double x, const char *colour, const char *width,
                                const char *name, double text_width)
{
    fprintf(p->file,
            "<path stroke='%s' stroke-width='%s' d='M%.1f 80h20'/><text class='small' x='%.1f' y='84'>%s</text>",
            colour, width, x, x + 26, name);
    return x + 26 + text_width + 22;
}

static void draw_legend(const struct picture *p)
{
    double x = draw_legend_entry(p, left, step_colour, "1.6", "loss of a step", 72);
    x = draw_legend_entry(p, x, train_colour, "2.4", "smoothed", 54);
    if (p->best) {
        double middle = x + 10;
        x = draw_legend_entry(p, x, held_out_colour, "1.6", "held-out loss", 74);
        fprintf(p->file, "<path stroke='%s' stroke-width='6.5' d='M%.1f 80h0'/>", held_out_colour, middle);
    }
    fputc('\n', p->file);
}

// "20,000 steps · 81.9M tokens · best held-out loss 3.412 (1.003 per byte) at step 19,500 · 1 h 23 min"
static void put_totals(const struct picture *p)
{
    static const char between[] = " \u00b7 ";
    const struct cli_loss_log *log = p->log;
    double n_steps = log->steps[log->n_steps - 1].step;
    char text[32];
    fprintf(p->file, "%s step%s", grouped(n_steps, text), n_steps == 1 ? "" : "s");
    if (log->n_tokens > 0) fprintf(p->file, "%s%s tokens", between, shortened(log->n_tokens, text));
    if (p->best) {
        fprintf(p->file, "%sbest held-out loss %s", between, loss_text(p->best->loss, 3, text));
        if (p->best->loss_per_byte > 0) fprintf(p->file, " (%s per byte)", loss_text(p->best->loss_per_byte, 3, text));
        fprintf(p->file, " at step %s", grouped(p->best->step, text));
    } else fprintf(p->file, "%sloss %s at the end", between, loss_text(p->points[p->n_points - 1].smoothed, 3, text));
    if (log->seconds > 0) fprintf(p->file, "%s%s", between, duration(log->seconds, text));
}

static void draw_head(const struct picture *p)
{
    fprintf(p->file,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d' role='img' "
            "aria-labelledby='title desc' font-family='system-ui,sans-serif' font-size='13'>\n<title id='title'>",
            WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_escaped(p->file, p->title);
    fprintf(p->file, "</title>\n<desc id='desc'>Loss over the steps of a training run, in nats per token: ");
    put_totals(p);
    fprintf(p->file,
            ".</desc>\n<style>text{fill:#24292f}.small{font-size:12px;fill:#57606a}"
            ".tick{font-size:11px;fill:#57606a}.name{font-size:11px;fill:#57606a}"
            ".best{font-size:12px;font-weight:600;fill:#a33f00;stroke:#fff;stroke-width:4px;paint-order:stroke}"
            "path{stroke-linecap:round;stroke-linejoin:round}.grid{stroke:#e7eaee;fill:none}"
            ".axis{stroke:#8c959f;fill:none}</style>\n"
            "<clipPath id='losses'><path d='M%g %gH%gV%gH%gZ'/></clipPath>\n"
            "<rect x='.5' y='.5' width='%d' height='%d' rx='10' fill='#fff' stroke='#d0d7de'/>\n"
            "<text x='%g' y='34' font-size='17' font-weight='600'>",
            left, top, right + 8, p->losses_bottom, left, WIDTH - 1, HEIGHT - 1, left);
    put_escaped(p->file, p->title);
    fprintf(p->file, "</text>\n<text class='small' x='%g' y='56'>", left);
    put_totals(p);
    fprintf(p->file, "</text>\n");
}

static void draw(const struct picture *p)
{
    draw_head(p);
    draw_legend(p);
    draw_step_axis(p);
    draw_loss_axis(p);
    if (p->rate_most > 0) draw_rates(p);
    fprintf(p->file, "<g clip-path='url(#losses)'>\n");
    draw_losses(p);
    if (p->best) draw_held_out(p);
    fprintf(p->file, "</g>\n");
    if (p->best) draw_best(p);
    fprintf(p->file, "</svg>\n");
}

// ---- files

// The title as it will be shown: on one line, well-formed, not too long. The caller frees it; NULL: no memory.
static char *shown_title(const char *title, const char *log_path)
{
    char *shown = NULL;
    size_t n_bytes;
    const char *slash = strrchr(log_path, '/');
    if (!title) title = strcmp(log_path, "-") == 0 ? "Training" : slash ? slash + 1 : log_path;
    FILE *file = open_memstream(&shown, &n_bytes);
    if (!file) return NULL;
    cli_put_text(file, title, strlen(title), TITLE_MAX);
    if (fclose(file) != 0) {
        free(shown);
        return NULL;
    }
    sc_utf8_mend(shown);
    return shown;
}

static int draw_file(struct picture *p, const char *path)
{
    struct cli_output output;
    thin_out(p);
    smooth(p);
    fit_axes(p);
    fit_losses(p);
    int code = cli_output_begin(&output, path);
    if (code >= 0) return code;
    p->file = output.file;
    draw(p);
    return cli_output_end(&output, true, SOCLE_OK);
}

int cli_loss_plot(const char *log_path, const char *svg_path, const char *title)
{
    struct cli_loss_log log;
    socle_error err;
    size_t n_bytes;
    int code = SOCLE_OK;
    char *text = cli_read_text(log_path, &n_bytes, &code), *shown;
    if (!text) return code;
    const char *name = strcmp(log_path, "-") == 0 ? "standard input" : log_path;
    socle_status status = cli_loss_log_read(&log, name, text, n_bytes, &err);
    free(text);
    if (status != SOCLE_OK) code = cli_fail(&err);
    else if (!(shown = shown_title(title, log_path)))
        code = cli_fail(&(socle_error){ SOCLE_NO_MEMORY, "not enough memory for the title" });
    else {
        struct picture picture = { .log = &log, .title = shown };
        code = draw_file(&picture, svg_path);
        free(shown);
    }
    cli_loss_log_free(&log);
    return code;
}
