// Merging adapters: the models' function, with plain structs outside.
#include <socle/adapter.h>

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "models/merge.h"

static void describe(const struct sc_merge_result *from, socle_adapter_merge_result *out)
{
    *out = (socle_adapter_merge_result){ .n_tensors = from->n_tensors,
                                         .n_changed = from->n_changed,
                                         .n_bytes_before = from->n_bytes_before,
                                         .n_bytes_after = from->n_bytes_after,
                                         .change = from->change,
                                         .rounding = from->rounding,
                                         .n_replaced = from->n_replaced };
    snprintf(out->replaced, sizeof out->replaced, "%s", from->replaced);
}

SC_EXPORT socle_status socle_adapter_merge(const char *model, const socle_adapter *adapters, size_t n_adapters,
                                           const char *out, const socle_adapter_merge_options *options,
                                           socle_adapter_merge_result *result, socle_error *err)
{
    socle_adapter_merge_options o = options ? *options : (socle_adapter_merge_options){ 0 };
    const char **paths = calloc(n_adapters + 1, sizeof *paths);
    float *scales = calloc(n_adapters + 1, sizeof *scales);
    struct sc_merge_result found;
    socle_status status = SOCLE_OK;
    if (!paths || !scales) status = sc_fail_memory(err, n_adapters * sizeof *paths, "adapters");
    for (size_t i = 0; i < n_adapters && status == SOCLE_OK; i++) {
        paths[i] = adapters[i].path;
        scales[i] = adapters[i].scale;
    }
    struct sc_merge_options of_merge = { .adapters = paths,
                                         .scales = scales,
                                         .n = n_adapters,
                                         .type = o.type,
                                         .n_threads = o.n_threads,
                                         .on_progress = o.on_progress,
                                         .context = o.context };
    if (status == SOCLE_OK) status = sc_merge(model, out, &of_merge, &found, err);
    if (status == SOCLE_OK && result) describe(&found, result);
    free(paths);
    free(scales);
    return status;
}
