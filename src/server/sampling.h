// How tokens are drawn, and when an answer ends, as requests of all interfaces say it.
#ifndef SC_SERVER_SAMPLING_H
#define SC_SERVER_SAMPLING_H

#include "server/server.h"

enum { STOPS_MAX = 16, BIASES_MAX = 1024, CHOICES_MAX = 16, ADAPTERS_MAX = 32 };

struct request_options {
    socle_sampling sampling;
    socle_logit_bias biases[BIASES_MAX];
    const char *stops[STOPS_MAX]; // borrowed from the request's JSON
    size_t n_stops;
    uint32_t n_predict; // 0: what the context holds
    uint32_t n_choices;
    bool has_adapters; // the request says how much it takes of each
    float adapters[ADAPTERS_MAX];
    bool logprobs;
    uint32_t n_top_logprobs;
    bool stream, include_usage, ignore_end;
    bool only_prompt; // its logprobs alone: the token that is generated is not told
};

// Numbers and flags of a JSON object. A value of a wrong type or out of range replies 400 with its name, and the result
// is false. Absent and null leave *out.
bool read_number(struct exchange *ex, const json_t *object, const char *name, double min, double max, double *out);
bool read_count(struct exchange *ex, const json_t *object, const char *name, uint64_t min, uint64_t max, uint64_t *out);
bool read_flag(struct exchange *ex, const json_t *object, const char *name, bool *out);
bool read_string(struct exchange *ex, const json_t *object, const char *name, const char **out);

// Everything above that OpenAI's fields and ours say. False: a reply was sent. `stop_name` is "stop" or
// "stop_sequences".
bool read_request_options(struct exchange *ex, const json_t *object, const char *stop_name,
                          struct request_options *out);

#endif
