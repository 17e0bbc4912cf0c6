#include "server/pages.h"

#include <stdlib.h>
#include <string.h>

#include "server/web_files.h"

static int compare(const void *key, const void *file) { return strcmp(key, ((const struct web_file *)file)->path); }

bool pages_serve(struct exchange *ex, const char *path)
{
    if (ex->server->options.no_pages) return false;
    const struct web_file *file = bsearch(path, web_files, n_web_files, sizeof *web_files, compare);
    if (!file) return false;
    const char *known = MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, "If-None-Match");
    bool is_known = known && strcmp(known, file->etag) == 0;
    ex->etag = file->etag;
    exchange_reply_text(ex, is_known ? 304 : 200, file->type, (const char *)file->data, is_known ? 0 : file->n_bytes);
    return true;
}

void pages_add_headers(const struct exchange *ex, struct MHD_Response *response)
{
    MHD_add_response_header(response, "ETag", ex->etag);
    MHD_add_response_header(response, "Content-Security-Policy", WEB_CONTENT_SECURITY_POLICY);
    MHD_add_response_header(response, "Referrer-Policy", WEB_REFERRER_POLICY);
    MHD_add_response_header(response, "Cross-Origin-Opener-Policy", WEB_OPENER_POLICY);
}
