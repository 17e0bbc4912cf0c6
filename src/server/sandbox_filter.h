// The filter of system calls, a part of the sandbox.
#ifndef SC_SERVER_SANDBOX_FILTER_H
#define SC_SERVER_SANDBOX_FILTER_H

#include <stdbool.h>

#include "base/error.h"

// Filters the system calls of all threads from now on; with `listens`, TCP sockets can still be made and bound.
// *filtered is false where this processor or kernel has no filter, which is no error.
socle_status sc_sandbox_filter(bool listens, bool *filtered, socle_error *err);

#endif
