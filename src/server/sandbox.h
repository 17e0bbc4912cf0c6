// The sandbox: what this process can no longer do, whatever takes it over.
//
// Two mechanisms of Linux, for which no privilege is needed, and which nothing can take back:
// - Landlock: no file is opened, made or removed outside the listed folders; no TCP port is bound but the listed ones;
//   no signal to, and no abstract Unix socket of, processes outside. (Kernel 5.13 and later; ports need 6.7, the last
//   two 6.12.)
// - seccomp: no other program, no other process, no new sockets and connections, no code made at run time, nothing of
//   what only an administrator's program needs (sandbox_filter.c has the list). On x86-64, AArch64 and RISC-V.
//
// Files and sockets that are open stay so: open what is listened on first. Threads can be made afterwards.
// Neither mechanism hides that a file exists, nor its size.
#ifndef SC_SERVER_SANDBOX_H
#define SC_SERVER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sc_sandbox_rules {
    const char *const *readable; // files, and folders with all that is in them; they must be there
    size_t n_readable;
    const char *const *writable; // the same; what may be written may be read. In folders files may be made and removed
    size_t n_writable;
    const uint16_t *ports; // TCP ports that may still be bound; none: no socket can be made at all
    size_t n_ports;
    bool required; // fail where a part of it cannot be had, rather than do without
};

// What was put in place.
struct sc_sandbox_state {
    unsigned landlock; // its version; 0: the kernel has none, so that files are not confined
    bool calls;        // system calls are filtered
    bool ports;        // what may be bound is confined
};

// Confines the process. It must have one thread: Landlock does not reach those that exist. Beside the rules, it may
// read what the C library and this one read of /proc and /sys.
// Errors: SOCLE_IO for a path that is not there; SOCLE_BAD_ARGUMENT when there are other threads; SOCLE_UNSUPPORTED
// when `required` and a part is missing. After an error the process may be confined in part, and should end.
socle_status sc_sandbox_enter(const struct sc_sandbox_rules *rules, struct sc_sandbox_state *out, socle_error *err);

// One line for people: what is confined, and what is not and why.
enum { SC_SANDBOX_TEXT_BYTES = 200 };
void sc_sandbox_describe(const struct sc_sandbox_state *state, char out[SC_SANDBOX_TEXT_BYTES]);

#endif
