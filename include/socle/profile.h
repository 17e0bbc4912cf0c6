// Where the time goes: what each kind of operation in a session took, and how much it read and multiplied. Beside the
// machine's limits (machine.h) that is a roofline: `socle bench --ops` draws one.
#ifndef SOCLE_PROFILE_H
#define SOCLE_PROFILE_H

#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

// Operations of one kind: all layers' products with weights of one name, format and shape; or all operations of one
// type that have no weights. The strings live as long as the session.
typedef struct socle_op_profile {
    const char *op;     // "linear", "attend", ...
    const char *weight; // "ffn_gate" for blk.*.ffn_gate.weight; "" without weights
    const char *format; // "Q4_K"; ""
    uint64_t shape[3];  // of one weight: elements of a row, rows, matrices; 0
    uint64_t n_calls;
    double seconds;
    // Weights, and cached keys and values, each counted once a call; activations are not counted.
    double bytes;
    double int8_macs, f32_macs; // multiply-adds of products and attention
} socle_op_profile;

// From now on every operation of the session is timed, from zero: two looks at the clock each. Results do not change.
// Errors: SOCLE_NO_MEMORY.
socle_status socle_session_profile(socle_session *session, socle_error *err);
// The i-th kind, in the order in which a token meets them; false past the last, and for a session that is not profiled.
bool socle_session_profile_at(const socle_session *session, size_t i, socle_op_profile *out);

#ifdef __cplusplus
}
#endif
#endif
