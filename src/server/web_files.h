// The pages for people (web/), as tools/embed.py put them into the program when it was built.
#ifndef SC_SERVER_WEB_FILES_H
#define SC_SERVER_WEB_FILES_H

#include <stddef.h>

struct web_file {
    const char *path; // as a request names it: "/", "/index.html", "/main.js", …
    const char *type; // for Content-Type
    const char *etag; // for ETag, in its quotes; a request with the same If-None-Match can be answered 304
    const unsigned char *data;
    size_t n_bytes;
};

// Sorted by path (strcmp), so that a binary search finds one. A file may appear under two paths.
extern const struct web_file web_files[];
extern const size_t n_web_files;

// What every answer from this table is sent with, besides Content-Type, ETag and Cache-Control: no-cache. Everything
// comes from this server and nothing is written into a page as HTML, so that what a model says cannot run.
#define WEB_CONTENT_SECURITY_POLICY                                                                                    \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "              \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#define WEB_REFERRER_POLICY "no-referrer"  // Referrer-Policy
#define WEB_CONTENT_TYPE_OPTIONS "nosniff" // X-Content-Type-Options
#define WEB_OPENER_POLICY "same-origin"    // Cross-Origin-Opener-Policy

#endif
