// A roofline (Williams, Waterman and Patterson, 2009) as an SVG picture: each kind of operation is a point under the
// two limits of the machine, on logarithmic axes.
//
//     multiply-adds          ______________ int8 peak        left of the ridge, memory is the limit: the speed is at
//     a second             /· ·  ·                           most (bytes a second) x (multiply-adds for each byte);
//                        / ·                                 right of it, arithmetic is. A point's distance below
//                      /·                                    the roof is what a better kernel could still win.
//                        multiply-adds for each byte read
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

enum { NUMBERED_MAX = 9, LABELS_MAX = 32, WIDTH = 960, HEIGHT = 560 };

static const double left = 78, right = 610, top = 56, bottom = 500, legend = 640;
static const char *const colours[] = { "#2563a8", "#c8591c" };

struct label {
    double x, y;
};

struct picture {
    FILE *file;
    const socle_limits *limits;
    double x0, x1, y0, y1; // decades
    struct label labels[LABELS_MAX];
    size_t n_labels;
};

static double at_x(const struct picture *p, double intensity)
{
    return left + (right - left) * (log10(intensity) - p->x0) / (p->x1 - p->x0);
}

static double at_y(const struct picture *p, double rate)
{
    return bottom - (bottom - top) * (log10(rate) - p->y0) / (p->y1 - p->y0);
}

static double macs_of(const socle_op_profile *op) { return op->int8_macs + op->f32_macs; }

static bool has_point(const socle_op_profile *op) { return op->bytes > 0 && macs_of(op) > 0 && op->seconds > 0; }

static void put_escaped(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '<') fputs("&lt;", file);
        else if (*text == '&') fputs("&amp;", file);
        else if ((unsigned char)*text >= 0x20) fputc(*text, file);
    }
}

// The decades that hold the ridge and every point.
static void fit_axes(struct picture *p, const struct bench_profile *profiles, size_t n_profiles)
{
    double peak = fmax(p->limits->int8_macs_per_second, p->limits->f32_macs_per_second);
    double ridge = peak / p->limits->read_bytes_per_second, x_least = ridge, x_most = ridge, y_least = peak / 10;
    double y_most = peak;
    for (size_t i = 0; i < n_profiles; i++)
        for (size_t j = 0; j < profiles[i].n_ops; j++) {
            const socle_op_profile *op = &profiles[i].ops[j];
            if (!has_point(op)) continue;
            x_least = fmin(x_least, macs_of(op) / op->bytes);
            x_most = fmax(x_most, macs_of(op) / op->bytes);
            y_least = fmin(y_least, macs_of(op) / op->seconds);
            y_most = fmax(y_most, macs_of(op) / op->seconds);
        }
    p->x0 = floor(log10(x_least));
    p->x1 = fmax(ceil(log10(x_most)), p->x0 + 1);
    p->y0 = floor(log10(y_least));
    p->y1 = log10(y_most) + 0.15;
}

static void draw_grid(const struct picture *p)
{
    FILE *f = p->file;
    for (double x = p->x0; x <= p->x1 + 1e-9; x++)
        fprintf(f,
                "<path class='grid' d='M%.1f %.1fV%.1f'/><text class='small' x='%.1f' y='%.1f' "
                "text-anchor='middle'>%g</text>\n",
                at_x(p, pow(10, x)), top, bottom, at_x(p, pow(10, x)), bottom + 18, pow(10, x));
    for (double y = p->y0; y <= p->y1 + 1e-9; y++)
        fprintf(f,
                "<path class='grid' d='M%.1f %.1fH%.1f'/><text class='small' x='%.1f' y='%.1f' "
                "text-anchor='end'>%g</text>\n",
                left, at_y(p, pow(10, y)), right, left - 8, at_y(p, pow(10, y)) + 4, pow(10, y - 9));
    fprintf(f, "<text class='small' x='%.1f' y='%.1f' text-anchor='middle'>multiply-adds for each byte read</text>\n",
            (left + right) / 2, bottom + 42);
    fprintf(f,
            "<text class='small' transform='translate(24 %.1f) rotate(-90)' text-anchor='middle'>billions of "
            "multiply-adds a second</text>\n",
            (top + bottom) / 2);
}

// A ceiling from where memory reaches it, where its name stands, to the right edge; the lower one's stands below.
static void draw_ceiling(const struct picture *p, double peak, const char *name, bool lower)
{
    const char *class = lower ? "roof dashed" : "roof";
    double ridge = fmax(peak / p->limits->read_bytes_per_second, pow(10, p->x0)), y = at_y(p, peak);
    if (ridge < pow(10, p->x1))
        fprintf(p->file, "<path class='%s' d='M%.1f %.1fH%.1f'/>\n", class, at_x(p, ridge), y, right);
    fprintf(p->file, "<text class='small' x='%.1f' y='%.1f'>%s %.0f G/s</text>\n", at_x(p, ridge) + 8,
            y + (lower ? 14 : -6), name, peak / 1e9);
}

static void draw_roofs(const struct picture *p)
{
    const socle_limits *l = p->limits;
    double bandwidth = l->read_bytes_per_second, peak = fmax(l->int8_macs_per_second, l->f32_macs_per_second);
    // The diagonal enters at the left edge or at the bottom, and ends at the ridge.
    double x_from = fmax(pow(10, p->x0), pow(10, p->y0) / bandwidth), x_to = peak / bandwidth;
    double x = at_x(p, x_from), y = at_y(p, x_from * bandwidth), dx = at_x(p, x_to) - x, dy = at_y(p, peak) - y;
    fprintf(p->file, "<path class='roof' d='M%.1f %.1fL%.1f %.1f'/>\n", x, y, x + dx, y + dy);
    fprintf(p->file,
            "<text class='small' transform='translate(%.1f %.1f) rotate(%.1f)' text-anchor='middle'>memory %.1f "
            "GB/s</text>\n",
            x + 0.5 * dx - 6, y + 0.5 * dy - 8, atan2(dy, dx) * 180 / acos(-1.0), bandwidth / 1e9);
    bool int8_lower = l->int8_macs_per_second < l->f32_macs_per_second;
    draw_ceiling(p, l->int8_macs_per_second, "int8", int8_lower);
    draw_ceiling(p, l->f32_macs_per_second, "f32", !int8_lower);
}

static bool is_free(const struct picture *p, double x, double y)
{
    for (size_t i = 0; i < p->n_labels; i++)
        if (fabs(p->labels[i].x - x) < 15 && fabs(p->labels[i].y - y) < 11) return false;
    return true;
}

// A number beside its point, moved up or down until it meets no other, with a thin line back.
static void draw_number(struct picture *p, double x, double y, size_t number, const char *colour)
{
    double label_x = x + 14, label_y = y;
    for (int step = 1; step < 40 && (label_y < top || !is_free(p, label_x, label_y)); step++)
        label_y = y + (step % 2 ? -1 : 1) * ((step + 1) / 2) * 6.0;
    if (p->n_labels < LABELS_MAX) p->labels[p->n_labels++] = (struct label){ label_x, label_y };
    fprintf(p->file, "<path d='M%.1f %.1fL%.1f %.1f' stroke='%s' stroke-width='.6'/>", x, y, label_x - 2, label_y,
            colour);
    fprintf(p->file, "<text x='%.1f' y='%.1f' font-size='11' fill='%s'>%zu</text>\n", label_x, label_y + 4, colour,
            number);
}

// The points of one test, and the rows of the legend that name them. Returns where the legend goes on.
static double draw_profile(struct picture *p, const struct bench_profile *profile, double n_runs, const char *colour,
                           double y)
{
    fprintf(p->file, "<circle cx='%.1f' cy='%.1f' r='5' fill='%s'/><text x='%.1f' y='%.1f'>%s %u</text>", legend + 5,
            y - 4, colour, legend + 18, y, profile->name, profile->n_tokens);
    fprintf(p->file, "<text class='small' x='%d' y='%.1f' text-anchor='end'>ms</text>\n", WIDTH - 60, y);
    size_t number = 0;
    for (size_t i = 0; i < profile->n_ops; i++) {
        const socle_op_profile *op = &profile->ops[i];
        if (!has_point(op)) continue;
        double px = at_x(p, macs_of(op) / op->bytes), py = at_y(p, macs_of(op) / op->seconds);
        fprintf(p->file, "<circle cx='%.1f' cy='%.1f' r='%.1f' fill='%s' fill-opacity='.75'/>\n", px, py,
                3 + 6 * sqrt(op->seconds / profile->seconds), colour);
        if (number == NUMBERED_MAX) continue;
        draw_number(p, px, py, ++number, colour);
        y += 18;
        fprintf(p->file, "<text class='small' x='%.1f' y='%.1f'>%zu  ", legend + 4, y, number);
        put_escaped(p->file, *op->weight ? op->weight : op->op);
        fprintf(p->file, " %s</text><text class='small' x='%d' y='%.1f' text-anchor='end'>%.2f</text>", op->format,
                WIDTH - 60, y, 1e3 * op->seconds / n_runs);
        fprintf(p->file, "<text class='small' x='%d' y='%.1f' text-anchor='end'>%.0f%%</text>\n", WIDTH - 16, y,
                100 * op->seconds / profile->seconds);
    }
    return y + 36;
}

static void draw(struct picture *p, const struct bench *b, const struct bench_profile *profiles, size_t n_profiles)
{
    fprintf(p->file,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' font-size='13'>\n"
            "<style>.small{font-size:11px;fill:#444}.grid{stroke:#e4e4e4;fill:none}"
            ".roof{stroke:#222;stroke-width:1.6;fill:none}.dashed{stroke-dasharray:5 4}</style>\n"
            "<rect width='%d' height='%d' fill='#fff'/>\n<text x='%.1f' y='30' font-size='16'>",
            WIDTH, HEIGHT, WIDTH, HEIGHT, left);
    put_escaped(p->file, b->info.name);
    fprintf(p->file, "</text><text class='small' x='%.1f' y='46'>%s, %s, %u threads, level %s", left, b->info.family,
            b->info.weights, socle_session_n_threads(b->session), socle_session_cpu(b->session));
    if (b->options->depth) fprintf(p->file, ", %u positions behind", b->options->depth);
    fprintf(p->file, "</text>\n");
    draw_grid(p);
    draw_roofs(p);
    double y = top + 10;
    for (size_t i = 0; i < n_profiles; i++)
        y = draw_profile(p, &profiles[i], b->options->n_runs, colours[profiles[i].name[0] != 'p'], y);
    fprintf(p->file, "</svg>\n");
}

void bench_draw_roofline(FILE *file, const struct bench *b, const struct bench_profile *profiles, size_t n_profiles)
{
    struct picture picture = { .file = file, .limits = &b->limits };
    fit_axes(&picture, profiles, n_profiles);
    draw(&picture, b, profiles, n_profiles);
}
