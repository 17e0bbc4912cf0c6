// strftime in the C locale, on the wall clock or on the time that the caller pinned.
#include "text/template_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                      "July",    "August",   "September", "October", "November", "December" };

static int days_before_month(int year, int month)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return before[month] + (is_leap && month > 1);
}

// Reads "2026-01-15T12:00:00" and works out the day of the week and of the year.
static bool read_pinned(const char *text, struct tm *out)
{
    int year, month, day, hour = 0, minute = 0, second = 0;
    int n = sscanf(text, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second);
    if (n < 3 || year < 1 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 61)
        return false;
    *out = (struct tm){
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second
    };
    out->tm_yday = days_before_month(year, month - 1) + day - 1;
    int past = year - 1; // whole years before this one, from the year 1, which began on a Monday
    out->tm_wday = (past * 365 + past / 4 - past / 100 + past / 400 + out->tm_yday + 1) % 7;
    return true;
}

static bool now(struct run *run, struct tm *out)
{
    time_t seconds = time(NULL);
    if (run->options.now)
        return read_pinned(run->options.now, out) ||
               sc_template_fail(run, "the time '%.40s' is not like 2026-01-15T12:00:00", run->options.now);
    return localtime_r(&seconds, out) || sc_template_fail(run, "there is no local time");
}

static int hour12(const struct tm *tm) { return tm->tm_hour % 12 ? tm->tm_hour % 12 : 12; }

static int days_in_year(int year) { return days_before_month(year, 11) + 31; }

// The week of the year by ISO 8601, and the year that it belongs to: that of its Thursday.
static int iso_week(const struct tm *tm, int *year)
{
    int monday = tm->tm_yday - (tm->tm_wday + 6) % 7; // the day of the year of this week's Monday; may be negative
    *year = tm->tm_year + 1900;
    if (monday + 3 < 0) {
        *year -= 1;
        monday += days_in_year(*year);
    } else if (monday + 3 >= days_in_year(*year)) {
        monday -= days_in_year(*year);
        *year += 1;
    }
    return (monday + 10) / 7;
}

// A number in a directive: its value, digits and what pads it.
struct field {
    int value, n_digits;
    char pad;
};

static bool number_of(const struct tm *tm, char directive, struct field *out)
{
    int iso_year, year = tm->tm_year + 1900, monday = (tm->tm_wday + 6) % 7;
    switch (directive) {
    case 'C': *out = (struct field){ year / 100, 2, '0' }; break;
    case 'd': *out = (struct field){ tm->tm_mday, 2, '0' }; break;
    case 'e': *out = (struct field){ tm->tm_mday, 2, ' ' }; break;
    case 'f': *out = (struct field){ 0, 6, '0' }; break;
    case 'g':
        iso_week(tm, &iso_year);
        *out = (struct field){ iso_year % 100, 2, '0' };
        break;
    case 'G':
        iso_week(tm, &iso_year);
        *out = (struct field){ iso_year, 4, '0' };
        break;
    case 'H': *out = (struct field){ tm->tm_hour, 2, '0' }; break;
    case 'I': *out = (struct field){ hour12(tm), 2, '0' }; break;
    case 'j': *out = (struct field){ tm->tm_yday + 1, 3, '0' }; break;
    case 'k': *out = (struct field){ tm->tm_hour, 2, ' ' }; break;
    case 'l': *out = (struct field){ hour12(tm), 2, ' ' }; break;
    case 'm': *out = (struct field){ tm->tm_mon + 1, 2, '0' }; break;
    case 'M': *out = (struct field){ tm->tm_min, 2, '0' }; break;
    case 'S': *out = (struct field){ tm->tm_sec, 2, '0' }; break;
    case 'u': *out = (struct field){ monday + 1, 1, '0' }; break;
    case 'U': *out = (struct field){ (tm->tm_yday + 7 - tm->tm_wday) / 7, 2, '0' }; break;
    case 'V': *out = (struct field){ iso_week(tm, &iso_year), 2, '0' }; break;
    case 'w': *out = (struct field){ tm->tm_wday, 1, '0' }; break;
    case 'W': *out = (struct field){ (tm->tm_yday + 7 - monday) / 7, 2, '0' }; break;
    case 'y': *out = (struct field){ year % 100, 2, '0' }; break;
    case 'Y': *out = (struct field){ year, 1, '0' }; break;
    default: return false;
    }
    return true;
}

// Directives that stand for others.
static const struct {
    char directive;
    const char *format;
} compound[] = {
    { 'c', "%a %b %e %H:%M:%S %Y" },
    { 'D', "%m/%d/%y" },
    { 'F', "%Y-%m-%d" },
    { 'r', "%I:%M:%S %p" },
    { 'R', "%H:%M" },
    { 'T', "%H:%M:%S" },
    { 'x', "%m/%d/%y" },
    { 'X', "%H:%M:%S" },
    { 'h', "%b" },
    { 'z', "" },
    { 'Z', "" },
    { 'n', "\n" },
    { 't', "\t" },
    { '%', "%%" },
};

static const char *word_of(const struct tm *tm, char directive, int *n_max)
{
    *n_max = directive == 'a' || directive == 'b' ? 3 : 100;
    switch (directive) {
    case 'a':
    case 'A': return days[tm->tm_wday];
    case 'b':
    case 'B': return months[tm->tm_mon];
    case 'p': return tm->tm_hour < 12 ? "AM" : "PM";
    case 'P': return tm->tm_hour < 12 ? "am" : "pm";
    default: return NULL;
    }
}

static bool write_time(struct run *run, const struct tm *tm, const char *format, size_t n_bytes);

// One directive with glibc's flags: "-" no padding, "_" spaces, "0" zeros, "^" capitals.
static bool write_directive(struct run *run, const struct tm *tm, char flag, char directive)
{
    char text[40];
    struct field field;
    int n_max;
    const char *word = word_of(tm, directive, &n_max);
    if (word) {
        snprintf(text, sizeof text, "%.*s", n_max, word);
        for (char *c = text; *c && flag == '^'; c++)
            if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 32);
        return sc_template_write_string(run, text);
    }
    if (number_of(tm, directive, &field)) {
        char pad = flag == '_' ? ' ' : flag == '0' ? '0' : field.pad;
        int n_digits = flag == '-' ? 1 : field.n_digits;
        snprintf(text, sizeof text, pad == '0' ? "%0*d" : "%*d", n_digits, field.value);
        return sc_template_write_string(run, text);
    }
    for (size_t i = 0; i < SC_COUNT(compound); i++) {
        if (compound[i].directive != directive) continue;
        if (directive == '%') return sc_template_write_string(run, "%");
        return write_time(run, tm, compound[i].format, strlen(compound[i].format));
    }
    return sc_template_write(run, "%", 1) && (!flag || sc_template_write(run, &flag, 1)) &&
           sc_template_write(run, &directive, 1);
}

static bool write_time(struct run *run, const struct tm *tm, const char *format, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        char flag = '\0';
        if (format[i] != '%' || i + 1 == n_bytes) {
            if (!sc_template_write(run, format + i, 1)) return false;
            continue;
        }
        i++;
        if (format[i] && strchr("-_0^#", format[i]) && i + 1 < n_bytes) flag = format[i++];
        if ((unsigned char)format[i] >= 0x80) { // not a directive: part of a longer character
            if (!sc_template_write(run, "%", 1)) return false;
            i--;
            continue;
        }
        if (!write_directive(run, tm, flag, format[i])) return false;
    }
    return true;
}

bool sc_template_write_time(struct run *run, const struct string *format)
{
    struct tm tm;
    return sc_template_step_bytes(run, format->n_bytes) && now(run, &tm) &&
           write_time(run, &tm, format->data, format->n_bytes);
}
