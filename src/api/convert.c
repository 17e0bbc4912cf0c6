#include <stdio.h>

#include "api/api.h"

#include "models/hf.h"

typedef socle_status converter(const char *from, const char *to, const struct sc_hf_options *options,
                               struct sc_hf_result *out, socle_error *err);

static socle_status convert(converter *run, const char *from, const char *to, const socle_convert_options *options,
                            socle_convert_result *out, socle_error *err)
{
    socle_convert_options o = options ? *options : (socle_convert_options){ 0 };
    struct sc_hf_options of_hf = {
        .without_text = o.without_text, .base = o.base, .on_progress = o.on_progress, .context = o.context
    };
    struct sc_hf_result result;
    socle_error own;
    SC_TRY(run(from, to, &of_hf, &result, err ? err : &own));
    if (!out) return SOCLE_OK;
    *out = (socle_convert_result){ .n_tensors = result.n_tensors,
                                   .n_bytes = result.n_bytes,
                                   .n_left_out = result.n_left_out };
    snprintf(out->family, sizeof out->family, "%s", result.family);
    snprintf(out->text, sizeof out->text, "%s", result.text);
    return SOCLE_OK;
}

SC_EXPORT socle_status socle_convert(const char *folder, const char *path, const socle_convert_options *options,
                                     socle_convert_result *out, socle_error *err)
{
    return convert(sc_hf_convert, folder, path, options, out, err);
}

SC_EXPORT socle_status socle_convert_back(const char *gguf, const char *folder, const socle_convert_options *options,
                                          socle_convert_result *out, socle_error *err)
{
    return convert(sc_hf_write, gguf, folder, options, out, err);
}
